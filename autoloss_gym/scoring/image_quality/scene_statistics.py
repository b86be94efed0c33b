"""Statistics of natural scenes in patches of an image, which NIQE compares.

They are those of the authors' release, with the same order and numbers (Mittal, Soundararajan,
Bovik 2013).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn.functional import pad

from autoloss_gym.scoring.image_quality.filters import blurred, gaussian_weights, mirrored
from autoloss_gym.tools.compiling import graph_constant

NUM_FEATURES = 36  # 18 at either scale
_SLICE = 64  # images of a run at a time, for the sake of memory
_RADIUS = 3
_WEIGHTS = gaussian_weights(7 / 6, _RADIUS)
_LUMINANCE = (0.299, 0.587, 0.114)
# Half a bicubic kernel (a = −1/2) stretched to twice its width, from the centre outwards.
_HALVING = (111 / 256, 29 / 256, -9 / 256, -3 / 256)
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))


@dataclass(frozen=True, eq=False)
class PatchStatistics:
    """Of each patch of each image of a run.

    Args:
        features: (num_envs, images, patches, 36), float64; not finite where the patch has no
            structure.
        sharpness: mean local standard deviation, (num_envs, images, patches), float64.
    """

    features: Float64[Tensor, "num_envs images patches features"]
    sharpness: Float64[Tensor, "num_envs images patches"]


def patch_statistics(
    images: Float[Tensor, "num_envs images height width channels"], patch_size: int
) -> PatchStatistics:
    """Statistics of the patches that lie side by side in each image, from its upper left corner.

    Args:
        images: pixels in [0, 1], grey or red, green and blue. What is left of whole patches below
            and to the right is cut off.
        patch_size: even.
    """
    slices = [_statistics(each, patch_size) for each in images.split(_SLICE, dim=1)]
    features = torch.cat([each.features for each in slices], dim=1)
    return PatchStatistics(features, torch.cat([each.sharpness for each in slices], dim=1))


def _statistics(images: Tensor, patch_size: int) -> PatchStatistics:
    height, width = (side - side % patch_size for side in images.shape[2:4])
    grey = _grey(images[:, :, :height, :width])
    normalized, deviation = _normalized(grey)
    sharpness = _patches(deviation, patch_size).flatten(3).mean(dim=3)
    features = _features(_patches(normalized, patch_size))

    normalized, _ = _normalized(_halved(grey))
    features += _features(_patches(normalized, patch_size // 2))
    return PatchStatistics(torch.stack(features, dim=3), sharpness)


def _grey(images: Tensor) -> Float64[Tensor, "num_envs images height width"]:
    """Luminance from 0 to 255, the unit in which the constant of `_normalized` is meant."""
    values = 255 * images.to(torch.float64)
    if images.shape[4] == 1:
        return values[..., 0].contiguous()
    red, green, blue = (
        weight * channel for weight, channel in zip(_LUMINANCE, values.unbind(4), strict=True)
    )
    return red + green + blue


def _normalized(grey: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels less their local mean, over their local standard deviation plus 1; and the latter."""
    mean = _local_mean(grey)
    deviation = (_local_mean(grey * grey) - mean * mean).abs().sqrt()
    return (grey - mean) / (deviation + 1), deviation


def _local_mean(grey: Tensor) -> Tensor:
    """Weighted by a Gaussian; beyond its edge the image goes on as it is there."""
    return blurred(pad(grey, (_RADIUS,) * 4, mode="replicate"), _WEIGHTS)


def _halved(
    grey: Float64[Tensor, "num_envs images height width"],
) -> Float64[Tensor, "num_envs images height//2 width//2"]:
    """Bicubic, of every four pixels one, without aliasing."""
    padded = mirrored(grey, len(_HALVING) - 1)
    return _halved_along_rows(_halved_along_rows(padded).mT).mT.contiguous()


def _halved_along_rows(values: Tensor) -> Tensor:
    reach = len(_HALVING)
    length = values.shape[-1] - 2 * reach + 1
    terms = []
    for distance, weight in enumerate(_HALVING):
        left = values[..., reach - 1 - distance :][..., :length:2]
        right = values[..., reach + distance :][..., :length:2]
        terms.append(weight * (left + right))
    return sum(terms[1:], terms[0])


def _patches(values: Tensor, size: int) -> Float64[Tensor, "num_envs images patches size size"]:
    tiles = values.unflatten(3, (-1, size)).unflatten(2, (-1, size))
    return tiles.transpose(3, 4).flatten(2, 3).contiguous()


def _features(patches: Float64[Tensor, "num_envs images patches size size"]) -> list[Tensor]:
    """18 features, each (num_envs, images, patches).

    They are the shape and the width of the distribution of pixels, and the shape, mean and both
    widths of that of the products of neighbours in four directions. Neighbours beyond the edge of a
    patch are those at its other edge, as in the release.
    """
    shape, left, right, _ = _distribution(patches)
    features = [shape, (left + right) / 2]
    for shift in _NEIGHBOURS:
        products = patches * patches.roll(shift, dims=(3, 4))
        shape, left, right, for_mean = _distribution(products)
        features += [shape, (right - left) * for_mean, left, right]
    return features


def _distribution(patches: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The asymmetric generalised Gaussian of the values of a patch, by its moments.

    Returns:
        Its shape, its widths below and above 0, and the factor Γ(2 / shape) / Γ(1 / shape).
    """
    values = patches.flatten(3)
    squares = values * values
    left = _root_mean(squares, values < 0)
    right = _root_mean(squares, values > 0)
    ratio = left / right
    absolute = values.abs().mean(dim=3)
    of_moments = absolute * absolute / squares.mean(dim=3)
    square = ratio * ratio
    asymmetry = (square * ratio + 1) * (ratio + 1) / ((square + 1) * (square + 1))
    wanted = of_moments * asymmetry

    shapes, ratios, widths, for_means = _shapes_on(str(values.device)).unbind(0)
    above = torch.searchsorted(ratios, wanted).clamp(1, len(ratios) - 1)
    below = above - 1
    is_below = wanted - ratios[below] <= ratios[above] - wanted
    nearest = torch.where(is_below, below, above)
    return shapes[nearest], left * widths[nearest], right * widths[nearest], for_means[nearest]


def _root_mean(squares: Tensor, chosen: Tensor) -> Tensor:
    """√ of the mean of the chosen squares; NaN where there are none."""
    return (torch.where(chosen, squares, 0.0).sum(dim=3) / chosen.sum(dim=3)).sqrt()


@graph_constant(maxsize=8)
def _shapes_on(device: str) -> Float64[Tensor, "4 shapes"]:
    """Shapes from 0.2 to 10 in steps of 0.001, with what follows from each.

    The rows are the shape a, Γ(2/a)² / (Γ(1/a) Γ(3/a)), √(Γ(1/a) / Γ(3/a)) and Γ(2/a) / Γ(1/a).
    """
    columns = []
    for step in range(9801):
        shape = 0.2 + 0.001 * step
        first, second, third = (math.gamma(order / shape) for order in (1, 2, 3))
        ratio = second * second / (first * third)
        columns.append((shape, ratio, math.sqrt(first / third), second / first))
    return torch.tensor(columns, dtype=torch.float64, device=device).T.contiguous()
