"""NIQE by a model of a data set's own: which images make it, what it orders, what it refuses."""

import numpy as np
import pytest
import torch

from autoloss_gym.data.image_source import ImageSource
from autoloss_gym.data.partition import five_way_partition
from autoloss_gym.scoring.image_quality import fit_pristine_model, niqe
from autoloss_gym.scoring.natural_judge import NaturalJudge
from tests.scoring.image_quality.test_niqe import blurred, noisy, scenes
from tests.support.paths import DATA


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "x.npz"
    pixels = (255 * scenes(120, side=16)).round().to(torch.uint8)
    np.savez(path, images=pixels.numpy())
    return path


def test_the_model_is_that_of_the_first_training_part_and_is_fitted_once(path):
    judge = NaturalJudge(ImageSource(str(path)), 8)
    with np.load(path) as arrays:
        pixels = torch.from_numpy(arrays["images"])
    rows = five_way_partition(len(pixels))["controller_train"]
    assert 0 < len(rows) < len(pixels)
    expected = fit_pristine_model(pixels[rows] / 255, 8)
    assert torch.equal(judge.model_on("cpu").mean, expected.mean)
    assert torch.equal(judge.model_on("cpu").covariance, expected.covariance)
    assert NaturalJudge(ImageSource(str(path)), 8).model_on("cpu") is judge.model_on("cpu")
    assert judge.model_on("meta").mean.is_meta
    images = scenes(6, side=16, seed=1).unflatten(0, (2, 3))
    assert torch.equal(judge.score(images), niqe(images, expected))


def test_a_file_takes_the_place_of_the_fitted_model_and_is_read_anew_when_rewritten(path, tmp_path):
    source, images = ImageSource(str(path)), scenes(3, side=16, seed=1)[None]
    file = tmp_path / "model.npz"
    found = []
    for mean in (0.0, 1.0, 123.0):
        covariance = np.eye(36) * (1 + mean)
        np.savez_compressed(file, mu_pris_param=np.full(36, mean), cov_pris_param=covariance)
        judge = NaturalJudge(source, 8, str(file))
        assert judge.model_on("cpu").mean.tolist() == [mean] * 36
        found.append(judge.score(images).item())
    assert len(set(found)) == 3


@pytest.mark.skipif(
    not (DATA / "lfwcrop").is_dir(), reason="AUTOLOSS_GYM_DATA names no folder with lfwcrop"
)
@pytest.mark.parametrize(("size", "patch"), [(16, 8), (32, 16)])
def test_faces_of_the_test_part_are_better_than_blurred_and_noisy_ones(size, patch):
    source = ImageSource("lfwcrop", str(DATA), size)
    images = source.load()
    rows = torch.arange(len(images.images) - images.num_test, len(images.images))[None, :200]
    faces = source.gather(rows)[0].unflatten(1, source.image_shape)
    blur = blurred(faces)
    judged = [faces, blur, blurred(blur), noisy(faces, 0.05), noisy(faces, 0.1)]
    figures = NaturalJudge(source, patch).score(torch.stack(judged)).tolist()
    assert figures[0] < 0.6
    assert 3 * figures[0] < figures[1] < figures[2]
    assert 2 * figures[0] < figures[3] < figures[4]


@pytest.mark.parametrize("patch", [6, 9, 18, 96])
def test_patches_that_do_not_fit_are_one_clear_line(patch, path):
    line = rf"^niqe_patch={patch}: images of 16 × 16 pixels; expected an even number from 8 to 16"
    with pytest.raises(ValueError, match=line) as error:
        NaturalJudge(ImageSource(str(path)), patch)
    assert "\n" not in str(error.value)


def test_a_file_without_a_model_is_one_clear_line_at_once(path, tmp_path):
    for name in (str(tmp_path / "none.npz"), str(path)):
        with pytest.raises(ValueError, match="mu_pris_param") as error:
            NaturalJudge(ImageSource(str(path)), 8, name)
        assert "\n" not in str(error.value)
