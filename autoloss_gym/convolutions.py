"""Convolutions of many runs with weights of their own.

On the CPU every run is convolved by itself: at these sizes that is as fast as one grouped convolution, and its bits cannot
depend on the batch. Elsewhere, and where PyTorch compiles, one grouped convolution serves all runs.
"""

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

KERNEL_SIZES = {4: (1, 0), 5: (2, 1)}  # padding, and output padding of the transposed convolution: sizes then halve and double


def halve(
    images: Float[Tensor, "num_envs batch inputs height width"],
    weights: Float[Tensor, "num_envs outputs inputs kernel kernel"],
    bias: Float[Tensor, "num_envs outputs"],
) -> Float[Tensor, "num_envs batch outputs height//2 width//2"]:
    """Convolution with stride 2."""
    padding, _ = KERNEL_SIZES[weights.shape[-1]]
    return _by_run(lambda x, w, b, groups: functional.conv2d(x, w, b, 2, padding, groups=groups), images, weights, bias)


def double(
    images: Float[Tensor, "num_envs batch inputs height width"],
    weights: Float[Tensor, "num_envs inputs outputs kernel kernel"],
    bias: Float[Tensor, "num_envs outputs"],
) -> Float[Tensor, "num_envs batch outputs 2*height 2*width"]:
    """Transposed convolution with stride 2."""
    padding, output_padding = KERNEL_SIZES[weights.shape[-1]]

    def convolve(x: Tensor, w: Tensor, b: Tensor, groups: int) -> Tensor:
        return functional.conv_transpose2d(x, w, b, 2, padding, output_padding, groups)

    return _by_run(convolve, images, weights, bias)


def batch_norm(
    images: Float[Tensor, "num_envs batch channels height width"],
    scale: Float[Tensor, "num_envs channels"],
    shift: Float[Tensor, "num_envs channels"],
) -> Float[Tensor, "num_envs batch channels height width"]:
    """Each channel with mean 0 and variance 1 over the batch of its run, then scaled and shifted."""

    def normalise(x: Tensor, scale: Tensor, shift: Tensor, groups: int) -> Tensor:
        return functional.batch_norm(x, None, None, scale, shift, training=True)

    return _by_run(normalise, images, scale, shift)


def _by_run(function: Callable[..., Tensor], images: Tensor, *parameters: Tensor) -> Tensor:
    """`function` of one run's images, or of the channels of all runs side by side."""
    runs = len(images)
    if runs == 1 or (images.device.type == "cpu" and not torch.compiler.is_compiling()):
        each: Iterable[tuple[Tensor, ...]] = zip(images, *parameters, strict=True)
        parts = [function(*arguments, 1) for arguments in each]
        return parts[0][None] if runs == 1 else torch.stack(parts)
    side_by_side = images.transpose(0, 1).flatten(1, 2)
    values = function(side_by_side, *(each.flatten(0, 1) for each in parameters), runs)
    return values.unflatten(1, (runs, -1)).transpose(0, 1)
