"""NIQE: its statistics and figure by a plain computation, its order, and what it refuses."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d

from autoloss_gym.scoring.image_quality import (
    PristineModel,
    fit_pristine_model,
    load_pristine_model,
    niqe,
)
from autoloss_gym.scoring.image_quality.scene_statistics import _shapes_on, patch_statistics
from tests.scoring.image_quality import plain_niqe
from tests.support.as_on_a_gpu import AsOnAGpu
from tests.support.paths import DATA

FACES = DATA / "lfwcrop" / "lfwcrop64_rgb_subset.npz"


def drawn(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def scenes(count, side=64, channels=3, seed=0):
    """Pictures with structure at all scales: each halving of the scale has half the contrast."""
    images = torch.zeros(count, channels, side, side)
    for level in range(5):
        small = drawn(count, channels, side >> level, side >> level, seed=10 * seed + level) - 0.5
        images += 0.13 * small.repeat_interleave(1 << level, 2).repeat_interleave(1 << level, 3)
    return (images + 0.5).clamp(0, 1).permute(0, 2, 3, 1).contiguous()


def blurred(images):
    values = images.flatten(0, -4).permute(0, 3, 1, 2)
    padded = torch.nn.functional.pad(values, (1, 1, 1, 1), mode="replicate")
    return avg_pool2d(padded, 3, stride=1).permute(0, 2, 3, 1).reshape(images.shape)


def noisy(images, size=0.1):
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(9))
    return (images + size * noise).clamp(0, 1)


@pytest.fixture(scope="module")
def model():
    return fit_pristine_model(scenes(60), patch_size=16)


# The figure


@pytest.mark.parametrize(("height", "width", "patch"), [(64, 64, 16), (51, 40, 16), (30, 24, 12)])
def test_the_statistics_of_patches_are_those_of_a_plain_computation(height, width, patch):
    images = scenes(3, channels=1)[:, :height, :width].double()
    found = patch_statistics(images[None], patch)
    for image in range(3):
        features, sharpness = plain_niqe.features(255 * images[image, :, :, 0].numpy(), patch)
        np.testing.assert_allclose(found.features[0, image], features, rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(found.sharpness[0, image], sharpness, rtol=1e-9)


def test_the_model_and_the_figure_are_those_of_a_plain_computation(model):
    chosen = []
    for image in scenes(60).double().numpy():
        features, sharpness = plain_niqe.features(255 * image @ [0.299, 0.587, 0.114], 16)
        chosen.append(features[sharpness > 0.75 * sharpness.max()])
    pristine = np.concatenate(chosen)
    assert 36 < len(pristine) < 60 * 16
    np.testing.assert_allclose(model.mean, pristine.mean(axis=0), rtol=1e-7)
    np.testing.assert_allclose(model.covariance, np.cov(pristine.T), rtol=1e-5, atol=1e-9)

    judged = noisy(scenes(4, seed=1)).double()
    rows = [
        plain_niqe.features(255 * each.numpy() @ [0.299, 0.587, 0.114], 16)[0] for each in judged
    ]
    expected = plain_niqe.distance(np.concatenate(rows), pristine.mean(axis=0), np.cov(pristine.T))
    assert niqe(judged[None], model).item() == pytest.approx(expected, rel=1e-6)


def test_the_distance_of_one_patch_by_hand():
    """Its own covariance is 0: √(Σ offset² / (variance / 2))."""
    image = scenes(1, channels=1)[:, :16, :16].double()
    row = patch_statistics(image[None], 16).features[0, 0, 0]
    variance = torch.linspace(1, 4, 36, dtype=torch.float64)
    model = PristineModel(row - 0.5, torch.diag(variance), 16)
    expected = math.sqrt(sum(0.25 / (each / 2) for each in variance.tolist()))
    assert niqe(image[None], model).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("shape", [0.5, 1.0, 2.0])
def test_the_table_of_shapes_has_the_moments_of_known_distributions(shape):
    """(E|x|)² / E x² is 2/π of a normal one, 1/2 of a Laplace one, and 3/10 of the shape 1/2."""
    shapes, ratios, widths, for_mean = _shapes_on("cpu")
    place = (shapes - shape).abs().argmin()
    ratio, width, mean = {
        0.5: (0.3, math.sqrt(1 / 120), 6.0),
        1.0: (0.5, math.sqrt(1 / 2), 1.0),
        2.0: (2 / math.pi, math.sqrt(2), 1 / math.sqrt(math.pi)),
    }[shape]
    assert ratios[place].item() == pytest.approx(ratio)
    assert widths[place].item() == pytest.approx(width)
    assert for_mean[place].item() == pytest.approx(mean)
    assert len(shapes) == 9801
    assert (ratios.diff() > 0).all()


# Its order


def test_noise_and_blur_are_worse_than_pristine_images_and_more_noise_is_worse(model):
    images = scenes(40, seed=1)
    judged = torch.stack([images, blurred(images), noisy(images, 0.05), noisy(images, 0.2)])
    pristine, blur, little, much = niqe(judged, model).tolist()
    assert pristine < 0.5
    assert blur > 2 * pristine
    assert 2 * pristine < little < much


@pytest.mark.skipif(not FACES.is_file(), reason="AUTOLOSS_GYM_DATA names no folder with lfwcrop")
@pytest.mark.parametrize("channels", [1, 3])
def test_faces_that_are_blurred_or_noisy_are_worse_than_other_faces(channels):
    with np.load(FACES) as arrays:
        faces = torch.from_numpy(arrays["x_test"]).permute(0, 2, 3, 1) / 255
    faces = faces[..., :channels]
    model = fit_pristine_model(faces[:150], patch_size=16)
    judged = faces[150:]
    figures = niqe(torch.stack([judged, blurred(judged), noisy(judged, 0.05)]), model)
    assert figures[0] < 1
    assert (figures[1:] > 2 * figures[0]).all()


# What a run gets


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_each_run_is_judged_by_the_same_bits_alone_and_among_others(count, dtype, model):
    images = noisy(scenes(5 * count, seed=2).unflatten(0, (5, count))).to(dtype)
    found = niqe(images, model)
    assert found.shape == (5,)
    assert found.dtype == dtype
    for run in range(5):
        assert torch.equal(niqe(images[run : run + 1].clone(), model), found[run : run + 1])


def test_images_are_judged_in_slices_by_the_same_bits(model):
    images = scenes(70, side=32, seed=3)[None]
    whole = patch_statistics(images, 16).features
    for start in (0, 63, 64, 69):
        part = images[:, start : start + 1]
        assert torch.equal(patch_statistics(part, 16).features[0, 0], whole[0, start])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_run_that_has_diverged_gets_nan_and_its_neighbours_what_they_get_alone(value, model):
    images = scenes(6, seed=4).unflatten(0, (3, 2))
    whole = niqe(images, model)
    images[1, 0, 3, 4, 0] = value
    broken = niqe(images, model)
    assert broken.isnan().tolist() == [False, True, False]
    assert torch.equal(broken[[0, 2]], whole[[0, 2]])


def test_patches_without_structure_are_left_out_and_a_run_without_any_other_gets_nan(model):
    images = scenes(4, seed=5).unflatten(0, (2, 2))
    grey = torch.full_like(images, 0.5)
    judged = torch.stack([images[0], torch.stack([images[0, 0], grey[0, 0]]), grey[0]])
    found = niqe(judged, model)
    assert found.isnan().tolist() == [False, False, True]
    assert torch.equal(found[1], niqe(images[:1, :1], model)[0])


def test_the_figure_is_computed_on_a_device_without_a_wait(model):
    _shapes_on("meta")  # once for a device
    there = model.to("meta")
    images = torch.empty(2, 70, 32, 32, 3, device="meta")
    with AsOnAGpu(set()) as mode:
        found = niqe(images, there)
    assert found.shape == (2,)
    assert found.is_meta
    assert not mode.uploaded


# Files and refusals


def test_a_model_is_read_from_a_file_of_plain_arrays(tmp_path, model):
    path = tmp_path / "model.npz"
    np.savez(path, mu_pris_param=model.mean[None].numpy(), cov_pris_param=model.covariance.numpy())
    read = load_pristine_model(str(path), 16)
    images = scenes(2, seed=6)[None]
    assert torch.equal(niqe(images, read), niqe(images, model))


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"mean": np.zeros(36)}, r"holds the arrays \['mean'\]: expected mu_pris_param"),
        ({"mu_pris_param": np.zeros(35), "cov_pris_param": np.eye(35)}, "36 numbers"),
        ({"mu_pris_param": np.zeros(36), "cov_pris_param": -np.eye(36)}, "positive definite"),
        ({"mu_pris_param": np.full(36, np.nan), "cov_pris_param": np.eye(36)}, "a finite mean"),
        ({"mu_pris_param": np.array(["a"] * 36), "cov_pris_param": np.eye(36)}, "numbers"),
        ({"mu_pris_param": np.array([None] * 36), "cov_pris_param": np.eye(36)}, "Python objects"),
    ],
)
def test_a_file_that_holds_no_such_model_is_refused_in_one_line(tmp_path, arrays, reason):
    path = tmp_path / "model.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=reason) as caught:
        load_pristine_model(str(path))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_of_another_kind_and_none_are_refused_in_one_line(tmp_path):
    text = tmp_path / "text.npz"
    text.write_text("text")
    for path in (text, tmp_path / "none.npz"):
        with pytest.raises(ValueError, match=r"expected an \.npz file") as caught:
            load_pristine_model(str(path))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [(15, 64), (64, 8)])
def test_images_below_a_patch_are_refused_in_one_line(size, model):
    images = drawn(1, 2, *size, 3)
    line = rf"^images of {size[0]} × {size[1]} pixels: NIQE expected at least a patch of 16 × 16; "
    with pytest.raises(ValueError, match=line) as caught:
        niqe(images, model)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=line):
        fit_pristine_model(images[0], patch_size=16)


def test_other_channels_and_patches_are_refused_in_one_line(model):
    with pytest.raises(ValueError, match=r"^images of 2 channels: NIQE expected 1 .* or 3"):
        niqe(drawn(1, 2, 16, 16, 2), model)
    for patch in (15, 6, -8):
        with pytest.raises(ValueError, match=f"^patch_size={patch}: expected an even number"):
            fit_pristine_model(drawn(4, 64, 64, 3), patch_size=patch)


@pytest.mark.parametrize(
    "images", [scenes(2), torch.zeros(50, 64, 64, 3), scenes(1).expand(60, -1, -1, -1)],
    ids=["few", "black", "equal"],
)  # fmt: skip
def test_images_that_make_no_model_are_refused_in_one_line(images):
    with pytest.raises(ValueError, match=r"^\d+ sharp patches of 16 × 16 in \d+ images") as caught:
        fit_pristine_model(images, patch_size=16)
    assert "\n" not in str(caught.value)
