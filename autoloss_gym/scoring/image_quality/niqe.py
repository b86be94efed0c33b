"""NIQE: how far images are from natural ones, without an original to compare with."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor
from torch.nn.functional import pad

from autoloss_gym.data.archives import read_arrays
from autoloss_gym.data.files import DAMAGE
from autoloss_gym.networks.linear import sum_of_outer_products
from autoloss_gym.scoring.image_quality.scene_statistics import NUM_FEATURES, patch_statistics

PATCH_SIZE = 96  # of the authors' model
_LEAST_PATCH = 8  # at half the scale these are 16 pixels
_SHARP = 0.75  # of the sharpest patch of an image
_ALIGNMENT = 8  # float64 numbers in 64 bytes
_ARRAYS = ("mu_pris_param", "cov_pris_param")


@dataclass(frozen=True, eq=False)
class PristineModel:
    """Mean and covariance of the statistics of patches of natural images.

    Args:
        mean: (36,), float64.
        covariance: (36, 36), float64, positive definite.
        patch_size: height and width of a patch: figures of different ones do not compare.
    """

    mean: Float64[Tensor, " features"]
    covariance: Float64[Tensor, "features features"]
    patch_size: int = PATCH_SIZE

    def to(self, device: str) -> "PristineModel":
        """The model on another device."""
        return PristineModel(self.mean.to(device), self.covariance.to(device), self.patch_size)


def niqe(
    images: Float[Tensor, "num_envs images height width channels"], model: PristineModel
) -> Float[Tensor, " num_envs"]:
    """√((ν − ν_r)ᵀ ((Σ + Σ_r) / 2)⁻¹ (ν − ν_r)), at least 0, and lower where images look natural.

    ν and Σ are the mean and the covariance of 36 statistics over all patches of all images of a
    run (Mittal, Soundararajan, Bovik 2013). With one image a run it is the published figure of that
    image; a mean of such figures is another number than that of all images together. It is only as
    meaningful as its model: figures by different models do not compare.

    Patches without structure, whose pixels are all the same, are left out. A run gets NaN where no
    patch has any, or where a pixel is not finite.

    Args:
        images: pixels in [0, 1], grey or red, green and blue.
        model: on the device of the images.

    Raises:
        ValueError: the images are smaller than a patch, or have other channels.
    """
    check_niqe_images(images.shape[2:], model.patch_size)
    features = patch_statistics(images, model.patch_size).features.flatten(1, 2)
    mean, covariance = _moments(features, torch.isfinite(features).all(dim=2))

    # A matrix that is not finite would be an error for all runs.
    finite = torch.isfinite(images.flatten(1)).all(dim=1) & torch.isfinite(mean).all(dim=1)
    middle = torch.where(finite[:, None, None], (covariance + model.covariance) / 2, 0.0)
    offset = mean - model.mean

    # Filled up to whole cache lines, for the bits of a run must not depend on its place.
    more = -NUM_FEATURES % _ALIGNMENT
    filled = pad(middle, (0, more, 0, more))
    columns = torch.arange(len(filled[0]), dtype=torch.int64, device=images.device)
    is_empty = (columns >= NUM_FEATURES) | ~finite[:, None]
    filled = filled + torch.diag_embed(is_empty.to(torch.float64))
    factor, _ = torch.linalg.cholesky_ex(filled)
    white = torch.linalg.solve_triangular(factor, pad(offset, (0, more))[:, :, None], upper=False)
    distance = (white * white).sum(dim=(1, 2)).sqrt()
    return torch.where(finite, distance, torch.nan).to(images.dtype)


def fit_pristine_model(
    images: Float[Tensor, "images height width channels"], patch_size: int = PATCH_SIZE
) -> PristineModel:
    """The model of natural images, from the sharp patches of some.

    Sharp are those patches whose mean local standard deviation is above 3/4 of the largest one in
    their image.

    Args:
        images: pixels in [0, 1], on the CPU: the training images of what shall be judged.
        patch_size: even, at least 8. The published 96 is for photographs; images of 64 × 64 pixels
            have 16 patches of 16 × 16.

    Raises:
        ValueError: the images are smaller than a patch or have other channels, the patch size is
            odd or below 8, or there are not enough patches that differ.
    """
    check_niqe_images(images.shape[1:], patch_size)
    statistics = patch_statistics(images[None], patch_size)
    sharpness = statistics.sharpness
    is_sharp = sharpness > _SHARP * sharpness.amax(dim=2, keepdim=True)
    features = statistics.features.flatten(1, 2)
    chosen = is_sharp.flatten(1) & torch.isfinite(features).all(dim=2)
    count = int(chosen.sum())
    mean, covariance = _moments(features, chosen)
    if count <= NUM_FEATURES or not _is_positive_definite(covariance[0]):
        raise ValueError(
            f"{count} sharp patches of {patch_size} × {patch_size} in {len(images)} images: "
            f"expected more than {NUM_FEATURES} that differ in all {NUM_FEATURES} statistics; "
            "give more images"
        )
    return PristineModel(mean[0], covariance[0], patch_size)


def load_pristine_model(path: str, patch_size: int = PATCH_SIZE) -> PristineModel:
    """The model in an NPZ file of plain arrays, such as that of the authors in NumPy's format.

    Args:
        path: of a file with the arrays `mu_pris_param`, 36 numbers, and `cov_pris_param`, 36 × 36.
        patch_size: that of the patches from which the model was made.

    Raises:
        ValueError: the file cannot be read, holds other arrays, or the covariance is not positive
            definite; or the patch size is odd or below 8.
    """
    _check_patch_size(patch_size)
    try:
        arrays, names = read_arrays(Path(path), _ARRAYS)
    except DAMAGE as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"{path!r}: expected an .npz file with {' and '.join(_ARRAYS)}, but {reason}"
        ) from None
    numbers = {name: array for name, array in arrays.items() if array.dtype.kind in "fiu"}
    sizes = [numbers[name].size for name in _ARRAYS if name in numbers]
    if sizes != [NUM_FEATURES, NUM_FEATURES**2]:
        raise ValueError(
            f"{path!r} holds the arrays {names}: expected {_ARRAYS[0]} of {NUM_FEATURES} numbers "
            f"and {_ARRAYS[1]} of {NUM_FEATURES} × {NUM_FEATURES}; give the file of such a model"
        )
    mean, covariance = (
        torch.from_numpy(arrays[name].astype("float64").reshape(shape))
        for name, shape in zip(_ARRAYS, [(-1,), (NUM_FEATURES, NUM_FEATURES)], strict=True)
    )
    if not torch.isfinite(mean).all() or not _is_positive_definite(covariance):
        raise ValueError(
            f"{path!r}: expected a finite mean and a covariance that is symmetric and positive "
            "definite; give the file of another model"
        )
    return PristineModel(mean, covariance, patch_size)


def _check_patch_size(patch_size: int) -> None:
    if patch_size < _LEAST_PATCH or patch_size % 2:
        raise ValueError(
            f"patch_size={patch_size}: expected an even number, at least {_LEAST_PATCH}"
        )


def check_niqe_images(shape: tuple[int, ...], patch_size: int) -> None:
    """Check that there are patches of such a size in images of a height, a width and channels.

    Raises:
        ValueError: see `niqe`; or the patch size is odd or below 8.
    """
    _check_patch_size(patch_size)
    height, width, channels = shape
    if min(height, width) < patch_size:
        raise ValueError(
            f"images of {height} × {width} pixels: NIQE expected at least a patch of {patch_size} "
            f"× {patch_size}; give larger images, or a model of smaller patches"
        )
    if channels not in (1, 3):
        raise ValueError(
            f"images of {channels} channels: NIQE expected 1 (grey) or 3 (red, green, blue); give "
            "such images"
        )


def _moments(
    features: Float64[Tensor, "num_envs rows features"], chosen: Bool[Tensor, "num_envs rows"]
) -> tuple[Float64[Tensor, "num_envs features"], Float64[Tensor, "num_envs features features"]]:
    """Mean and covariance of the chosen rows.

    The mean is NaN where no row is chosen. The covariance has the number of rows − 1 in its
    denominator, and is 0 for one row.
    """
    mask = chosen[:, :, None]
    count = chosen.sum(dim=1)[:, None].to(torch.float64)
    mean = torch.where(mask, features, 0.0).sum(dim=1) / count
    centred = torch.where(mask, features - mean[:, None], 0.0)
    degrees = (count - 1).clamp(min=1)[:, :, None]
    return mean, sum_of_outer_products(centred, centred) / degrees


def _is_positive_definite(covariance: Float64[Tensor, "features features"]) -> bool:
    """Whether it is symmetric, and no direction has as little variance as rounding errors give."""
    if not torch.isfinite(covariance).all() or not torch.allclose(covariance, covariance.T):
        return False
    values = torch.linalg.eigvalsh(covariance)
    return bool(values[0] > 1e-14 * values[-1])
