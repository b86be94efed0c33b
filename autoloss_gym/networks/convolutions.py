"""Convolutions of stride 2 of many runs with weights of their own; images are channels last.

Parameters are those of `torch.nn.Conv2d` and `torch.nn.ConvTranspose2d`. On the side of the image,
where channels are few, PyTorch's convolutions are slow: there they are matrix products of all runs
over blocks of 2 × 2 pixels. Elsewhere every run is convolved by itself on the CPU, so that its bits
do not depend on the others, and on other devices, and where PyTorch compiles, one grouped
convolution serves all runs.
"""

from collections.abc import Callable
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, pad

from autoloss_gym.networks.linear import affine

PADDINGS = {
    4: (1, 0),
    5: (2, 1),
}  # by kernel size, and output padding of the transposed one: sizes halve and double exactly
_FEW = 4  # channels
_EPSILON = 1e-5


def halve(
    images: Float[Tensor, "num_envs batch height width inputs"],
    weights: Float[Tensor, "num_envs outputs inputs kernel kernel"],
    bias: Float[Tensor, "num_envs outputs"],
) -> Float[Tensor, "num_envs batch height//2 width//2 outputs"]:
    """Convolution with stride 2."""
    if images.shape[4] <= _FEW:
        return _halve_by_products(images, weights, bias)
    padding, _ = PADDINGS[weights.shape[-1]]
    return _by_run(
        lambda x, w, b, groups: conv2d(x, w, b, 2, padding, groups=groups), images, weights, bias
    )


def double(
    images: Float[Tensor, "num_envs batch height width inputs"],
    weights: Float[Tensor, "num_envs inputs outputs kernel kernel"],
    bias: Float[Tensor, "num_envs outputs"],
) -> Float[Tensor, "num_envs batch 2*height 2*width outputs"]:
    """Transposed convolution with stride 2."""
    if weights.shape[2] <= _FEW:
        return _double_by_products(images, weights, bias)
    padding, more = PADDINGS[weights.shape[-1]]
    return _by_run(
        lambda x, w, b, groups: conv_transpose2d(x, w, b, 2, padding, more, groups),
        images,
        weights,
        bias,
    )


def batch_norm(
    images: Float[Tensor, "num_envs batch height width channels"],
    scale: Float[Tensor, "num_envs channels"],
    shift: Float[Tensor, "num_envs channels"],
) -> Float[Tensor, "num_envs batch height width channels"]:
    """Each channel with mean 0 and variance 1 over the batch of its run, then scaled and shifted."""
    values = images.flatten(1, 3)
    centred = values - values.mean(dim=1, keepdim=True)
    variance = (centred * centred).mean(dim=1)
    factor = scale / torch.sqrt(variance + _EPSILON)
    return (centred * factor[:, None] + shift[:, None]).view(images.shape)


def _by_run(
    function: Callable[..., Tensor], images: Tensor, weights: Tensor, bias: Tensor
) -> Tensor:
    """`function` of each run's images, channels first, or of the channels of all runs side by side."""
    channels_first = images.permute(0, 1, 4, 2, 3)
    runs = len(images)
    if runs == 1 or (images.is_cpu and not torch.compiler.is_compiling()):
        each = [
            function(x, w, b, 1).permute(0, 2, 3, 1)
            for x, w, b in zip(channels_first, weights, bias, strict=True)
        ]
        return each[0][None] if runs == 1 else torch.stack(each)
    side_by_side = channels_first.transpose(0, 1).flatten(1, 2)
    values = function(side_by_side, weights.flatten(0, 1), bias.flatten(), runs)
    return values.unflatten(1, (runs, -1)).permute(1, 0, 3, 4, 2)


def _halve_by_products(images: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    batch, (height, width), blocks = (
        images.shape[1],
        (size // 2 for size in images.shape[2:4]),
        _blocks(weights),
    )
    before, _ = PADDINGS[weights.shape[-1]]
    after = 2 * (blocks - 1) - before
    padded = (
        pad(images, (0, 0, before, after, before, after))
        .unflatten(3, (-1, 2))
        .unflatten(2, (-1, 2))
    )
    tiles = padded.permute(0, 1, 2, 4, 3, 5, 6).flatten(
        4
    )  # (num_envs, batch, rows, columns, 4 · inputs)
    places = product(range(blocks), repeat=2)
    patches = torch.cat([tiles[:, :, i : i + height, j : j + width] for i, j in places], dim=4)
    matrix = (
        _by_blocks(weights).permute(0, 3, 5, 4, 6, 2, 1).flatten(1, 5)
    )  # (num_envs, blocks² · 4 · inputs, outputs)
    return affine(patches.flatten(1, 3), matrix, bias).unflatten(1, (batch, height, width))


def _double_by_products(images: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    (batch, height, width), blocks, (before, _) = (
        images.shape[1:4],
        _blocks(weights),
        PADDINGS[weights.shape[-1]],
    )
    matrix = (
        _by_blocks(weights).permute(0, 1, 3, 5, 4, 6, 2).flatten(2)
    )  # (num_envs, inputs, blocks² · 4 · outputs)
    patches = affine(images.flatten(1, 3), matrix, torch.zeros_like(matrix[:, 0]))
    parts = patches.view(len(images), batch, height, width, blocks**2, -1).unbind(4)
    places, last = product(range(blocks), repeat=2), blocks - 1
    spread = [
        pad(part, (0, 0, j, last - j, i, last - i))
        for part, (i, j) in zip(parts, places, strict=True)
    ]
    tiles = sum(spread[1:], spread[0])
    pixels = tiles.unflatten(4, (2, 2, -1)).permute(0, 1, 2, 4, 3, 5, 6).flatten(4, 5).flatten(2, 3)
    return (
        pixels[:, :, before : before + 2 * height, before : before + 2 * width]
        + bias[:, None, None, None]
    )


def _blocks(weights: Tensor) -> int:
    """Blocks of 2 pixels that a kernel covers in each direction: 2, or 3 for one of 5 pixels, which
    is filled up with zeros.
    """
    return (weights.shape[-1] + 1) // 2


def _by_blocks(weights: Tensor) -> Float[Tensor, "num_envs first second blocks 2 blocks 2"]:
    """Kernels cut into blocks: (…, row of the block, row in it, column of the block, column in it)."""
    more = weights.shape[-1] % 2
    weights = pad(weights, (0, more, 0, more)) if more else weights
    return weights.unflatten(4, (-1, 2)).unflatten(3, (-1, 2))
