"""Reconstructed images compared with the originals: PSNR and SSIM."""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from autoloss_gym.scoring.image_quality.filters import blurred, gaussian_weights, mirrored
from autoloss_gym.tools.compiling import is_eager_on_cpu

_SIGMA = 1.5
_RADIUS = 5  # a window of 11 × 11 pixels
_LEAST_SIDE = 5
_NUMBERS_AT_ONCE = 2**18  # of images on the CPU: more would leave its caches, at 2.5 times the cost
# (0.01 · L)² and (0.03 · L)² for pixels in [0, L], here with L = 1.
_FOR_MEANS = 0.01 * 0.01
_FOR_VARIANCES = 0.03 * 0.03


def peak_signal_noise_ratio(
    images: Float[Tensor, "num_envs images height width channels"],
    originals: Float[Tensor, "num_envs images height width channels"],
) -> Float[Tensor, "num_envs images"]:
    """PSNR of each image in decibels: −10 log₁₀ of its mean squared error.

    It equals `skimage.metrics.peak_signal_noise_ratio(original, image, data_range=1)`, the error
    being a mean over all pixels and channels. It is infinite for an image that equals its original.

    Args:
        images, originals: pixels in [0, 1].
    """
    error = images.to(torch.float64) - originals.to(torch.float64)
    mean_squared_error = _mean_of_images((error * error).permute(0, 1, 4, 2, 3))
    return (-10 * torch.log10(mean_squared_error)).to(images.dtype)


def structural_similarity(
    images: Float[Tensor, "num_envs images height width channels"],
    originals: Float[Tensor, "num_envs images height width channels"],
) -> Float[Tensor, "num_envs images"]:
    """SSIM of each image, at most 1, which equal images have (Wang et al. 2004).

    It is the published form: Gaussian weights with σ = 1.5 in a window of 11 × 11 pixels, variances
    without Bessel's correction, a mean over all places where the window lies within the image, and
    over channels. It equals

        skimage.metrics.structural_similarity(
            original, image, win_size=`ssim_window(height, width)`, data_range=1, channel_axis=2,
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False)

    In images below 11 pixels, too, the weights are those of 11 × 11 pixels; beyond the edge the
    image is reflected, and the mean is over the places where a window of `win_size` lies within the
    image. Figures of images of such different sizes do not compare.

    Args:
        images, originals: pixels in [0, 1], of at least 5 × 5 pixels.

    Raises:
        ValueError: the images are smaller.
    """
    height, width = images.shape[2:4]
    window = ssim_window(height, width)
    count = images.shape[1]
    if is_eager_on_cpu(images):
        count = max(_NUMBERS_AT_ONCE * count // images.numel(), 1)
    slices = zip(images.split(count, dim=1), originals.split(count, dim=1), strict=True)
    return torch.cat([_similarity(*each, window) for each in slices], dim=1).to(images.dtype)


def ssim_window(height: int, width: int) -> int:
    """Side of the window that `structural_similarity` keeps within images of a size.

    It is 11, or in images whose smaller side is below 11 the largest odd number up to that side: 7
    in 8 × 8 pixels.

    Raises:
        ValueError: a side is below 5 pixels.
    """
    side = min(height, width)
    if side < _LEAST_SIDE:
        raise ValueError(
            f"images of {height} × {width} pixels: SSIM expected at least {_LEAST_SIDE} × "
            f"{_LEAST_SIDE}; give larger images"
        )
    return min(2 * _RADIUS + 1, side - 1 + side % 2)


def _similarity(
    images: Tensor, originals: Tensor, window: int
) -> Float64[Tensor, "num_envs images"]:
    border = _RADIUS - window // 2
    weights = gaussian_weights(_SIGMA, _RADIUS)

    def local_mean(values: Tensor) -> Tensor:
        return blurred(mirrored(values, border), weights)

    # (num_envs, images, channels, height, width), then the places of the window.
    first, second = _channels_first(images), _channels_first(originals)
    first_mean, second_mean = local_mean(first), local_mean(second)
    product_of_means = first_mean * second_mean
    squares_of_means = first_mean * first_mean + second_mean * second_mean
    covariance = local_mean(first * second) - product_of_means
    variances = local_mean(first * first + second * second) - squares_of_means

    alike = (2 * product_of_means + _FOR_MEANS) * (2 * covariance + _FOR_VARIANCES)
    most = (squares_of_means + _FOR_MEANS) * (variances + _FOR_VARIANCES)
    return _mean_of_images(alike / most)


def _channels_first(images: Tensor) -> Float64[Tensor, "num_envs images channels height width"]:
    return images.to(torch.float64).permute(0, 1, 4, 2, 3).contiguous()


def _mean_of_images(
    values: Float64[Tensor, "num_envs images channels rows columns"],
) -> Float64[Tensor, "num_envs images"]:
    """Mean of each image.

    It is summed in two steps, so that no sum is so long that it would be divided between threads
    where there is one image alone.
    """
    rows = values.contiguous().sum(dim=4).flatten(2)
    return rows.sum(dim=2) / values[0, 0].numel()
