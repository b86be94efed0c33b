"""PSNR and SSIM: values known by hand, and those of scikit-image."""

import math

import pytest
import torch

from autoloss_gym.scoring.image_quality import peak_signal_noise_ratio, structural_similarity
from autoloss_gym.scoring.image_quality.comparison import _NUMBERS_AT_ONCE, ssim_window
from tests.support.as_on_a_gpu import AsOnAGpu

FIGURES = [peak_signal_noise_ratio, structural_similarity]
SHAPES = [
    (side, side + more, channels)
    for side in (5, 6, 8, 10, 11, 16, 28, 32, 64)
    for more, channels in ((0, 1), (3, 3))
]


def drawn(*shape, seed=0, dtype=torch.float32):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def pairs(runs, images, *shape, dtype=torch.float32):
    """Smooth images, and reconstructions of them whose errors differ from image to image."""
    rows = torch.linspace(0, 3, shape[0], dtype=dtype)[:, None, None]
    columns = torch.linspace(0, 5, shape[1], dtype=dtype)[None, :, None]
    originals = 0.5 + 0.4 * torch.sin(
        rows + columns + 6 * drawn(runs, images, 1, 1, shape[2], dtype=dtype)
    )
    noise = drawn(runs, images, *shape, seed=1, dtype=dtype) - 0.5
    size = 0.02 + 0.4 * drawn(runs, images, 1, 1, 1, seed=2, dtype=dtype)
    return (originals + size * noise).clamp(0, 1), originals


# PSNR


def test_psnr_of_an_error_of_a_tenth_is_twenty_decibels():
    originals = torch.full((1, 2, 4, 4, 3), 0.5, dtype=torch.float64)
    images = originals.clone()
    images[:, 0] += 0.1
    images[:, 1] -= 0.01
    torch.testing.assert_close(
        peak_signal_noise_ratio(images, originals),
        torch.tensor([[20.0, 40.0]], dtype=torch.float64),
    )


def test_psnr_is_of_the_mean_of_squares_over_all_pixels_and_channels():
    """One of 24 values is off by 0.6: 10 log₁₀(24 / 0.36)."""
    originals = torch.zeros(1, 1, 2, 4, 3)
    images = originals.clone()
    images[0, 0, 1, 2, 0] = 0.6
    expected = 10 * math.log10(24 / 0.36)
    assert peak_signal_noise_ratio(images, originals).item() == pytest.approx(expected, rel=1e-6)


def test_psnr_of_equal_images_is_infinite():
    images, _ = pairs(2, 3, 8, 8, 1)
    assert torch.isposinf(peak_signal_noise_ratio(images, images)).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_psnr_is_that_of_scikit_image(shape):
    metrics = pytest.importorskip("skimage.metrics")
    images, originals = pairs(2, 2, *shape, dtype=torch.float64)
    found = peak_signal_noise_ratio(images, originals)
    for run in range(2):
        for image in range(2):
            expected = metrics.peak_signal_noise_ratio(
                originals[run, image].numpy(), images[run, image].numpy(), data_range=1
            )
            assert found[run, image].item() == pytest.approx(expected, abs=1e-9)


# SSIM


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_ssim_of_equal_images_is_exactly_one(shape):
    images, _ = pairs(2, 3, *shape)
    assert (structural_similarity(images, images) == 1).all()


@pytest.mark.parametrize("side", [5, 8, 13])
def test_ssim_of_two_plain_images_is_that_of_their_means(side):
    """(2 · 0.2 · 0.6 + 0.0001) / (0.2² + 0.6² + 0.0001), for both have no variance."""
    images = torch.full((1, 1, side, side, 1), 0.2, dtype=torch.float64)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.04 + 0.36 + 1e-4)
    found = structural_similarity(images, torch.full_like(images, 0.6)).item()
    assert found == pytest.approx(expected, abs=1e-12)


def test_ssim_of_one_window_by_hand():
    """Weighted moments in the one place where a window of 11 lies in 11 × 11 pixels."""
    first, second = pairs(1, 1, 11, 11, 1, dtype=torch.float64)
    first, second = first[0, 0, :, :, 0], second[0, 0, :, :, 0]
    along = torch.tensor([math.exp(-(k**2) / 4.5) for k in range(-5, 6)], dtype=torch.float64)
    weights = torch.outer(along, along) / along.sum() ** 2
    means = [(weights * each).sum() for each in (first, second)]
    offsets = [first - means[0], second - means[1]]
    variances = [(weights * each * each).sum() for each in offsets]
    covariance = (weights * offsets[0] * offsets[1]).sum()
    luminance = (2 * means[0] * means[1] + 1e-4) / (means[0] ** 2 + means[1] ** 2 + 1e-4)
    structure = (2 * covariance + 9e-4) / (variances[0] + variances[1] + 9e-4)
    found = structural_similarity(first[None, None, :, :, None], second[None, None, :, :, None])
    assert found.item() == pytest.approx((luminance * structure).item(), abs=1e-10)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_ssim_is_that_of_scikit_image_with_the_window_that_is_documented(shape):
    metrics = pytest.importorskip("skimage.metrics")
    images, originals = pairs(2, 2, *shape, dtype=torch.float64)
    found = structural_similarity(images, originals)
    narrow = structural_similarity(images.float(), originals.float())
    assert found.min() > 0
    assert found.max() < 0.999
    for run in range(2):
        for image in range(2):
            expected = metrics.structural_similarity(
                originals[run, image].numpy(),
                images[run, image].numpy(),
                win_size=ssim_window(*shape[:2]),
                data_range=1,
                channel_axis=2,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
            assert found[run, image].item() == pytest.approx(expected, abs=1e-9)
            assert narrow[run, image].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("size", "window"),
    [((64, 64), 11), ((11, 11), 11), ((10, 64), 9), ((8, 8), 7), ((7, 9), 7), ((6, 6), 5)],
)
def test_the_window_is_eleven_or_the_largest_odd_number_up_to_the_smaller_side(size, window):
    assert ssim_window(*size) == ssim_window(*size[::-1]) == window


def test_images_below_five_pixels_are_refused_in_one_line():
    images = drawn(1, 2, 4, 9, 3)
    with pytest.raises(
        ValueError, match=r"^images of 4 × 9 pixels: SSIM expected .*larger images$"
    ):
        structural_similarity(images, images)


# Both


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 13, 3), (28, 28, 1), (33, 32, 3)], ids=str)
@pytest.mark.parametrize("count", [1, 7])
def test_each_run_is_judged_by_the_same_bits_alone_and_among_others(figure, dtype, shape, count):
    images, originals = pairs(5, count, *shape, dtype=dtype)
    found = figure(images, originals)
    assert found.shape == (5, count)
    assert found.dtype == dtype
    for run in range(5):
        alone = figure(images[run : run + 1].clone(), originals[run : run + 1].clone())
        assert torch.equal(alone, found[run : run + 1])


def test_images_that_are_compared_in_slices_get_the_same_bits():
    images, originals = pairs(2, 70, 40, 40, 3)
    assert images.numel() > 2 * _NUMBERS_AT_ONCE
    found = structural_similarity(images, originals)
    for image in (0, 26, 27, 28, 69):
        alone = structural_similarity(images[:, [image]], originals[:, [image]])
        assert torch.equal(alone, found[:, [image]])


@pytest.mark.parametrize("figure", FIGURES)
def test_images_that_lie_channels_first_are_judged_by_the_same_bits(figure):
    images, originals = pairs(3, 4, 12, 14, 3)
    turned = images.permute(0, 1, 4, 2, 3).contiguous().permute(0, 1, 3, 4, 2)
    assert torch.equal(figure(turned, originals), figure(images, originals))


@pytest.mark.parametrize("figure", FIGURES)
def test_a_pixel_that_is_not_finite_spoils_its_own_image_alone(figure):
    images, originals = pairs(2, 3, 12, 12, 1)
    whole = figure(images, originals)
    images[1, 0, 5, 6, 0] = math.nan
    broken = figure(images, originals)
    assert broken[1, 0].isnan()
    assert torch.equal(broken[0], whole[0])
    assert torch.equal(broken[1, 1:], whole[1, 1:])


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("side", [8, 32])
def test_figures_are_computed_on_a_device_without_a_wait(figure, side):
    images = torch.empty(2, 3, side, side, 3, device="meta")
    with AsOnAGpu(set()) as mode:
        found = figure(images, images)
    assert found.shape == (2, 3)
    assert found.is_meta
    assert not mode.uploaded
