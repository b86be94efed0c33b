"""Gaussian filters of images as sums of shifted images.

Each pixel is the same sum wherever it lies in memory, which products of matrices and convolutions
do not promise.
"""

import math

import torch
from jaxtyping import Float64
from torch import Tensor


def gaussian_weights(sigma: float, radius: int) -> tuple[float, ...]:
    """Weights of the centre and of its neighbours at distances 1 to `radius`.

    Together with those on the other side they sum to 1.
    """
    weights = [math.exp(-(distance**2) / (2 * sigma**2)) for distance in range(radius + 1)]
    total = weights[0] + 2 * sum(weights[1:])
    return tuple(weight / total for weight in weights)


def blurred(
    images: Float64[Tensor, "*batch height width"], weights: tuple[float, ...]
) -> Float64[Tensor, "*batch rows columns"]:
    """The pixels whose window lies within the image, along both axes.

    Args:
        images: at least as high and wide as the window.
        weights: of `gaussian_weights`. Both axes lose the radius at either end.
    """
    by_column = _blurred_along_rows(images, weights)
    return _blurred_along_rows(by_column.mT, weights).mT


def mirrored(
    images: Float64[Tensor, "*batch height width"], count: int
) -> Float64[Tensor, "*batch rows columns"]:
    """The images with a border of `count` pixels, in which they are reflected at their edge.

    The first pixel outside equals the last one inside.

    Args:
        count: at most the height and the width.
    """
    if count == 0:
        return images
    for dim in (-2, -1):
        before = images.narrow(dim, 0, count).flip(dim)
        after = images.narrow(dim, images.shape[dim] - count, count).flip(dim)
        images = torch.cat([before, images, after], dim=dim)
    return images


def _blurred_along_rows(values: Tensor, weights: tuple[float, ...]) -> Tensor:
    radius = len(weights) - 1
    last = values.shape[-1] - radius
    # Products and sums are separate: whether a fused one is used depends on the place in memory.
    total = weights[0] * values[..., radius:last]
    for distance in range(1, radius + 1):
        left = values[..., radius - distance : last - distance]
        right = values[..., radius + distance : last + distance]
        total = total + weights[distance] * (left + right)
    return total
