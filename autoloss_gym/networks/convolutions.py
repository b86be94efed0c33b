"""Convolutions of stride 2 of many runs with weights of their own; images are channels last.

Parameters are those of `torch.nn.Conv2d` and `torch.nn.ConvTranspose2d`. On the side of the image,
where channels are few, PyTorch's convolutions are slow: there they are matrix products of all runs
over blocks of 2 × 2 pixels. Elsewhere every run is convolved by itself on the CPU, so that its bits
do not depend on the others. On other devices, and where PyTorch compiles, one grouped convolution
serves all runs.
"""

from collections.abc import Callable
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, pad

from autoloss_gym.networks.linear import affine
from autoloss_gym.tools.compiling import is_eager_on_cpu

# By kernel size: the padding of both, and the output padding of the transposed convolution, with
# which sizes halve and double exactly.
PADDINGS = {4: (1, 0), 5: (2, 1)}
# Up to so many channels of the larger images, products are quicker on a CPU than convolutions.
_FEW_TO_HALVE, _FEW_TO_DOUBLE = 2, 4
_EPSILON = 1e-5  # added to variances, as by torch.nn.BatchNorm2d


def halve(
    images: Float[Tensor, "num_envs batch height width inputs"],
    weights: Float[Tensor, "num_envs outputs inputs kernel kernel"],
    bias: Float[Tensor, "num_envs outputs"],
) -> Float[Tensor, "num_envs batch height//2 width//2 outputs"]:
    """Convolution with stride 2."""
    if images.shape[4] <= _FEW_TO_HALVE:
        return _halve_by_products(images, weights, bias)
    padding, _ = PADDINGS[weights.shape[-1]]

    def convolve(values: Tensor, weights: Tensor, bias: Tensor, groups: int) -> Tensor:
        return conv2d(values, weights, bias, stride=2, padding=padding, groups=groups)

    return _by_run(convolve, images, weights, bias)


def double(
    images: Float[Tensor, "num_envs batch height width inputs"],
    weights: Float[Tensor, "num_envs inputs outputs kernel kernel"],
    bias: Float[Tensor, "num_envs outputs"],
) -> Float[Tensor, "num_envs batch 2*height 2*width outputs"]:
    """Transposed convolution with stride 2."""
    if weights.shape[2] <= _FEW_TO_DOUBLE:
        return _double_by_products(images, weights, bias)
    padding, output_padding = PADDINGS[weights.shape[-1]]

    def convolve(values: Tensor, weights: Tensor, bias: Tensor, groups: int) -> Tensor:
        return conv_transpose2d(values, weights, bias, 2, padding, output_padding, groups)

    return _by_run(convolve, images, weights, bias)


def batch_norm(
    images: Float[Tensor, "num_envs batch height width channels"],
    scale: Float[Tensor, "num_envs channels"],
    shift: Float[Tensor, "num_envs channels"],
) -> Float[Tensor, "num_envs batch height width channels"]:
    """Each channel with mean 0 and variance 1 over its run's batch, then scaled and shifted."""
    values = images.flatten(1, 3)
    centred = values - values.mean(dim=1, keepdim=True)
    variance = (centred * centred).mean(dim=1)
    factor = scale / torch.sqrt(variance + _EPSILON)
    return (centred * factor[:, None] + shift[:, None]).view(images.shape)


def _by_run(
    convolve: Callable[[Tensor, Tensor, Tensor, int], Tensor],
    images: Tensor,
    weights: Tensor,
    bias: Tensor,
) -> Tensor:
    """`convolve` for each run, or for the channels of all runs side by side as groups."""
    channels_first = images.permute(0, 1, 4, 2, 3)
    runs = len(images)
    if runs == 1 or is_eager_on_cpu(images):
        each = []
        for values, weight, offset in zip(channels_first, weights, bias, strict=True):
            each.append(convolve(values, weight, offset, 1).permute(0, 2, 3, 1))
        return each[0][None] if runs == 1 else torch.stack(each)
    side_by_side = channels_first.transpose(0, 1).flatten(1, 2)
    values = convolve(side_by_side, weights.flatten(0, 1), bias.flatten(), runs)
    return values.unflatten(1, (runs, -1)).permute(1, 0, 3, 4, 2)


def _halve_by_products(images: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    batch = images.shape[1]
    height, width = images.shape[2] // 2, images.shape[3] // 2
    blocks = _blocks(weights)
    before, _ = PADDINGS[weights.shape[-1]]
    after = 2 * (blocks - 1) - before

    # (num_envs, batch, rows, columns, 4 · inputs): the pixels of every block of 2 × 2.
    padded = pad(images, (0, 0, before, after, before, after))
    tiles = padded.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))
    tiles = tiles.permute(0, 1, 2, 4, 3, 5, 6).flatten(4)

    # (num_envs, batch, height, width, blocks² · 4 · inputs): the blocks under every kernel.
    shifted = []
    for row, column in product(range(blocks), repeat=2):
        shifted.append(tiles[:, :, row : row + height, column : column + width])
    patches = torch.cat(shifted, dim=4)

    # (num_envs, blocks² · 4 · inputs, outputs)
    matrix = _by_blocks(weights).permute(0, 3, 5, 4, 6, 2, 1).flatten(1, 5)
    values = affine(patches.flatten(1, 3), matrix, bias)
    return values.unflatten(1, (batch, height, width))


def _double_by_products(images: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    runs, batch, height, width, _ = images.shape
    blocks = _blocks(weights)
    before, _ = PADDINGS[weights.shape[-1]]

    # (num_envs, inputs, blocks² · 4 · outputs)
    matrix = _by_blocks(weights).permute(0, 1, 3, 5, 4, 6, 2).flatten(2)
    patches = affine(images.flatten(1, 3), matrix, None)
    parts = patches.view(runs, batch, height, width, blocks**2, -1).unbind(4)

    # Every pixel of the images paints blocks² blocks, which overlap with those of its neighbours.
    spread = []
    last = blocks - 1
    for part, (row, column) in zip(parts, product(range(blocks), repeat=2), strict=True):
        spread.append(pad(part, (0, 0, column, last - column, row, last - row)))
    tiles = sum(spread[1:], spread[0])

    pixels = tiles.unflatten(4, (2, 2, -1)).permute(0, 1, 2, 4, 3, 5, 6).flatten(4, 5).flatten(2, 3)
    cropped = pixels[:, :, before : before + 2 * height, before : before + 2 * width]
    return cropped + bias[:, None, None, None]


def _blocks(weights: Tensor) -> int:
    """Number of blocks of 2 pixels that a kernel covers in each direction.

    It is 2 for a kernel of 4 pixels, and 3 for one of 5, which is filled up with zeros.
    """
    return (weights.shape[-1] + 1) // 2


def _by_blocks(weights: Tensor) -> Float[Tensor, "num_envs first second blocks 2 blocks 2"]:
    """Kernels cut into blocks: block row, row in the block, block column, column in the block."""
    more = weights.shape[-1] % 2
    if more:
        weights = pad(weights, (0, more, 0, more))
    return weights.unflatten(4, (-1, 2)).unflatten(3, (-1, 2))
