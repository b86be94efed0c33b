"""Statistics against closed cases."""

import numpy as np
import pytest
from scipy import stats

from agents.statistics import bootstrap, interquartile_mean, mean, paired_difference


def test_interquartile_mean_cuts_a_quarter_at_each_end():
    assert interquartile_mean(np.array([[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 1000.0]]))[0] == 3.5


def test_interquartile_mean_agrees_with_scipy_on_sizes_that_four_does_not_divide():
    values = np.random.default_rng(0).normal(size=(3, 203))
    np.testing.assert_allclose(interquartile_mean(values), stats.trim_mean(values, 0.25, axis=1))


def test_interval_of_the_mean_has_the_width_of_the_normal_approximation():
    values = np.random.default_rng(1).normal(size=(1, 400))
    estimate = bootstrap(values, replicates=20_000)
    half = 1.96 * values.std() / 20
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.05 * half)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.05 * half)


def test_interval_covers_the_spread_between_training_seeds():
    seeds = np.array([[0.0], [1.0], [2.0], [3.0], [4.0]])
    estimate = bootstrap(np.broadcast_to(seeds, (5, 100)))
    assert estimate.value == 2.0
    assert estimate.high - estimate.low > 2.0  # the problems alone have no spread at all


def test_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(2)
    samples = (bootstrap(generator.exponential(size=(1, 60)), replicates=500, seed=i) for i in range(300))
    covered = np.mean([estimate.low <= 1.0 <= estimate.high for estimate in samples])
    assert 0.88 < covered < 0.98


def test_paired_difference_removes_what_problems_share():
    generator = np.random.default_rng(3)
    problems = 100 * generator.normal(size=(1, 50))
    estimate = paired_difference(problems + 0.5 + 0.01 * generator.normal(size=(2, 50)), problems)
    assert estimate.value == pytest.approx(0.5, abs=0.01)
    assert estimate.high - estimate.low < 0.02


def test_bootstrap_is_repeatable():
    values = np.random.default_rng(4).normal(size=(2, 30))
    assert bootstrap(values, mean) == bootstrap(values, mean)
