"""The scores of generated images in cases whose value is known."""

import math

import numpy as np
import pytest
import torch
from scipy import linalg

from autoloss_gym.scoring.sample_scores import diversity, frechet_distance, inception_score, moments


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_moments(mean, covariance, rows=200):
    """Rows whose sample mean and covariance are exactly these."""
    values = drawn(rows, len(mean), seed=3)
    values -= values.mean(dim=0)
    white = values @ torch.linalg.cholesky(
        torch.linalg.inv(torch.cov(values.T).reshape(len(mean), len(mean)))
    )
    root = torch.linalg.cholesky(torch.tensor(covariance, dtype=torch.float64))
    return white @ root.T + torch.tensor(mean, dtype=torch.float64)


# Inception score


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_sure_and_equally_frequent_classes_score_their_number(classes):
    one_hot = torch.eye(classes).repeat(4, 1)[None]
    assert inception_score(one_hot).item() == pytest.approx(classes, rel=1e-6)


@pytest.mark.parametrize("probabilities", [[0.2, 0.5, 0.3], [1.0, 0.0, 0.0], [1 / 3] * 3], ids=str)
def test_images_that_are_all_alike_score_one(probabilities):
    assert inception_score(torch.tensor(probabilities).expand(2, 7, 3)).tolist() == [1.0, 1.0]


def test_the_score_of_two_unsure_images_by_hand():
    """p(y) is (1/2, 1/2), so that each divergence is 3/4 ln 3/2 + 1/4 ln 1/2."""
    expected = math.exp(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert inception_score(torch.tensor([[[0.75, 0.25], [0.25, 0.75]]])).item() == pytest.approx(
        expected, rel=1e-6
    )


def test_the_score_of_classes_that_are_not_equally_frequent_is_the_exponential_of_their_entropy():
    """Three images of class 0, one of class 1: exp(ln 4 − 3/4 ln 3), and class 2 counts for
    nothing.
    """
    images = torch.tensor([[[1.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0]]])
    assert inception_score(images).item() == pytest.approx(4 / 3**0.75, rel=1e-6)


# Fréchet distance


def test_the_distance_of_two_gaussians_of_one_feature_is_that_of_means_and_deviations():
    """(5 − 2)² + (3 − 0.5)²."""
    real = moments(with_moments([2.0], [[0.25]]))
    assert frechet_distance(with_moments([5.0], [[9.0]])[None], real).item() == pytest.approx(
        9 + 6.25, rel=1e-9
    )


def test_the_distance_of_independent_features_adds_up():
    """1² + 2² + (2 − 1)² + (3 − 5)²."""
    real = moments(with_moments([0.0, 0.0], [[1.0, 0.0], [0.0, 25.0]]))
    images = with_moments([1.0, 2.0], [[4.0, 0.0], [0.0, 9.0]])[None]
    assert frechet_distance(images, real).item() == pytest.approx(10, rel=1e-9)


@pytest.mark.parametrize("rows", [300, 6], ids=["of full rank", "of rank 5"])
def test_the_distance_is_that_by_the_root_of_the_product_of_covariances(rows):
    features, real = (
        drawn(3, rows, 12) * torch.linspace(0.2, 2, 12) + 0.3,
        drawn(400, 12, seed=1) @ drawn(12, 12, seed=2),
    )
    found = frechet_distance(features, moments(real))
    mean, covariance = real.mean(dim=0).numpy(), np.cov(real.numpy().T)
    for run in range(3):
        own = np.cov(features[run].numpy().T)
        root = linalg.sqrtm(own @ covariance)
        offset = features[run].mean(dim=0).numpy() - mean
        expected = offset @ offset + np.trace(own + covariance - 2 * np.real(root))
        assert found[run].item() == pytest.approx(expected, rel=1e-5)


def test_real_images_are_at_no_distance_from_themselves_and_no_distance_is_negative():
    real = drawn(50, 20, seed=4)
    distances = frechet_distance(
        torch.stack([real, real.flip(0), real * (1 + 1e-9)]), moments(real)
    )
    assert (distances >= 0).all()
    assert distances.max() < 1e-6


def test_features_that_are_always_off_cost_nothing():
    real, images = drawn(50, 3), drawn(1, 60, 3, seed=1)
    off = torch.nn.functional.pad
    expected = frechet_distance(images, moments(real))
    torch.testing.assert_close(
        frechet_distance(off(images, (0, 2)), moments(off(real, (0, 2)))), expected
    )


# Diversity


def test_diversity_is_the_ratio_of_root_mean_squared_distances():
    real, images = drawn(40, 5), drawn(2, 30, 5, seed=1) * torch.tensor([0.5, 3.0])[:, None, None]
    expected = [
        (torch.pdist(each).square().mean() / torch.pdist(real).square().mean()).sqrt().item()
        for each in images
    ]
    assert diversity(images, moments(real)).tolist() == pytest.approx(expected, rel=1e-9)


def test_real_images_at_half_their_distances_have_half_their_diversity():
    real = drawn(40, 5)
    assert diversity(torch.stack([real, real / 2 + 7]), moments(real)).tolist() == pytest.approx(
        [1, 0.5], rel=1e-9
    )


# What every score has


def test_a_run_whose_images_are_all_the_same_gets_finite_scores_and_no_diversity():
    real = moments(drawn(100, 17).float())
    one = torch.rand(1, 1, 17) * 0.1
    collapsed = one.expand(1, 33, 17)
    assert diversity(collapsed, real).item() == 0.0
    offset = one[0, 0].double() - real.mean
    expected = (
        offset @ offset + real.covariance.trace()
    ).item()  # the root of a product with 0 is 0
    assert frechet_distance(collapsed, real).item() == pytest.approx(expected, rel=1e-6)


def test_one_image_has_no_diversity_and_scores_one():
    real = moments(drawn(100, 4))
    assert diversity(drawn(1, 1, 4), real).item() == 0.0
    assert torch.isfinite(frechet_distance(drawn(1, 1, 4), real)).all()
    assert inception_score(torch.tensor([[[0.9, 0.1]]])).item() == 1.0


@pytest.mark.parametrize("width", [7, 10, 33, 64])
@pytest.mark.parametrize("rows", [1, 50, 333])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_each_run_is_scored_by_the_same_bits_alone_and_among_others(width, rows, dtype):
    features, real = (
        drawn(5, rows, width).relu().to(dtype),
        moments(drawn(200, width, seed=1).to(dtype)),
    )
    probabilities = torch.softmax(3 * features, dim=2)
    scores = [
        inception_score(probabilities),
        frechet_distance(features, real),
        diversity(features, real),
    ]
    assert {score.dtype for score in scores} == {dtype}
    for run in range(5):
        one, likely = features[run : run + 1].clone(), probabilities[run : run + 1].clone()
        alone = [inception_score(likely), frechet_distance(one, real), diversity(one, real)]
        assert all(
            torch.equal(first, second[run : run + 1])
            for first, second in zip(alone, scores, strict=True)
        )


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_run_that_has_diverged_gets_nan_and_its_neighbours_what_they_get_alone(value):
    features, real = drawn(3, 20, 6), moments(drawn(50, 6, seed=1))
    broken = features.clone()
    broken[1, 4, 2] = value
    for score in (frechet_distance, diversity):
        found, whole = score(broken, real), score(features, real)
        assert found[1].isnan()
        assert torch.equal(found[[0, 2]], whole[[0, 2]])
    probabilities = torch.softmax(features, dim=2)
    probabilities[1, 4, 2] = math.nan
    assert inception_score(probabilities).isnan().tolist() == [False, True, False]


@pytest.mark.parametrize(
    "features",
    [torch.ones(9, 3), torch.full((9, 3), math.nan), torch.ones(1, 3)],
    ids=["equal", "NaN", "one"],
)
def test_real_images_without_differences_are_refused_in_one_line(features):
    with pytest.raises(
        ValueError,
        match=rf"features of {len(features)} real images: expected finite ones that differ",
    ) as caught:
        moments(features)
    assert "\n" not in str(caught.value)
