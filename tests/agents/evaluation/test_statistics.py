"""Statistics against closed cases."""

import numpy as np
import pytest
from scipy import optimize, stats

from agents.evaluation.statistics import (
    bootstrap,
    interquartile_mean,
    mean,
    paired_difference,
    performance_profile,
    probability_of_improvement,
)

ONES = np.ones((1, 4))


def half_width(estimate):
    return (estimate.high - estimate.low) / 2


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


def test_interval_of_the_interquartile_mean_has_the_width_of_its_asymptotic_variance():
    values = stats.norm.ppf((np.arange(800) + 0.5) / 800)[None]
    end = stats.norm.ppf(0.75)
    variance = 4 * (
        0.5 - 2 * end * stats.norm.pdf(end) + 0.5 * end**2
    )  # 1.195 for a normal, where the mean has 1
    estimate = bootstrap(values, interquartile_mean, replicates=10_000)
    assert estimate.value == pytest.approx(0, abs=1e-9)
    assert half_width(estimate) == pytest.approx(1.96 * np.sqrt(variance / 800), rel=0.04)


def test_interval_covers_the_spread_between_training_seeds():
    seeds = np.array([[0.0], [1.0], [2.0], [3.0], [4.0]])
    estimate = bootstrap(np.broadcast_to(seeds, (5, 100)))
    assert estimate.value == 2.0
    assert estimate.high - estimate.low > 2.0  # the problems alone have no spread at all


def test_interval_has_the_variance_of_resampling_two_ways():
    """The mean of drawn seeds × drawn problems varies by σ²(seeds)/S + σ²(problems)/P + σ²(rest)/(S
    P).
    """
    generator = np.random.default_rng(5)
    seeds, problems = 30, 40
    figures = (
        0.5 * generator.normal(size=(seeds, 1))
        + generator.normal(size=problems)
        + generator.normal(size=(seeds, problems))
    )
    of_seeds, of_problems = figures.mean(axis=1, keepdims=True), figures.mean(axis=0, keepdims=True)
    rest = figures - of_seeds - of_problems + figures.mean()
    variance = (
        of_seeds.var() / seeds + of_problems.var() / problems + rest.var() / (seeds * problems)
    )
    assert half_width(bootstrap(figures, replicates=10_000)) == pytest.approx(
        1.96 * np.sqrt(variance), rel=0.04
    )


def test_a_second_training_seed_widens_the_interval_as_the_mixture_of_its_draws_says():
    """Two seeds ±d: the drawn seeds average −d, 0 or d with probabilities 1/4, 1/2 and 1/4, the
    problems add a normal.
    """
    problems = stats.norm.ppf((np.arange(100) + 0.5) / 100)
    deviation, distance = problems.std() / 10, 0.3
    one = bootstrap(problems[None], replicates=10_000)
    two = bootstrap(np.stack([problems - distance, problems + distance]), replicates=10_000)
    places, shares = np.array([-distance, 0, distance]), np.array([0.25, 0.5, 0.25])
    quantile = optimize.brentq(
        lambda x: shares @ stats.norm.cdf(x, places, deviation) - 0.975, 0, 1
    )
    assert one.value == pytest.approx(two.value)
    assert half_width(one) == pytest.approx(1.96 * deviation, rel=0.04)
    assert half_width(two) == pytest.approx(quantile, rel=0.04)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(2)
    samples = (
        bootstrap(generator.exponential(size=(1, 60)), replicates=500, seed=i) for i in range(300)
    )
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


@pytest.mark.parametrize(
    ("figure", "minimize", "probability"),
    [(0, True, 1), (2, True, 0), (0, False, 0), (2, False, 1)],
)
def test_improvement_is_certain_or_impossible_where_all_runs_agree(figure, minimize, probability):
    estimate = probability_of_improvement(np.full((3, 4), figure), ONES, minimize)
    assert (estimate.value, estimate.low, estimate.high) == (probability,) * 3


@pytest.mark.parametrize("minimize", [True, False])
def test_ties_count_half(minimize):
    estimate = probability_of_improvement(np.ones((2, 4)), ONES, minimize)
    assert (estimate.value, estimate.low, estimate.high) == (0.5, 0.5, 0.5)


def test_improvement_counts_wins_and_ties_of_all_training_seeds():
    figures = np.array(
        [[0, 0, 1, 2], [0, 1, 1, 0]]
    )  # four wins, three ties, one loss of eight runs
    assert probability_of_improvement(figures, ONES, minimize=True).value == 5.5 / 8
    assert probability_of_improvement(figures, ONES, minimize=False).value == 2.5 / 8


def test_improvement_is_judged_on_the_same_problem():
    reference = 100.0 * np.arange(50)[None]
    assert (
        probability_of_improvement(reference[:, ::-1] - 0.1, reference, minimize=True).value == 0.5
    )
    assert probability_of_improvement(reference - 0.1, reference, minimize=True).value == 1


def test_interval_of_the_improvement_has_the_width_of_the_binomial():
    figures = np.repeat([0.0, 2.0], [280, 120])[None]
    estimate = probability_of_improvement(figures, np.ones((1, 400)), minimize=True)
    half = 1.96 * np.sqrt(0.7 * 0.3 / 400)
    assert estimate.value == 0.7
    assert estimate.low == pytest.approx(0.7 - half, abs=0.1 * half)
    assert estimate.high == pytest.approx(0.7 + half, abs=0.1 * half)


def test_improvement_of_normal_figures_covers_its_closed_form():
    """Figures lower by 1 with noise of deviation 1 on both sides win with probability Φ(1/√2)."""
    generator, truth = np.random.default_rng(6), stats.norm.cdf(1 / np.sqrt(2))
    draws = generator.normal(size=(300, 2, 1, 60)) - np.array([1, 0])[:, None, None]
    estimates = [
        probability_of_improvement(figures, reference, minimize=True)
        for figures, reference in draws
    ]
    assert np.mean([estimate.value for estimate in estimates]) == pytest.approx(truth, abs=0.01)
    assert 0.88 < np.mean([estimate.low <= truth <= estimate.high for estimate in estimates]) < 0.98


def test_profile_counts_the_runs_that_reach_a_level_in_the_metrics_direction():
    figures, levels = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([4.0, 0.5, 1.0, 2.5])
    np.testing.assert_array_equal(
        performance_profile(figures, levels, minimize=True).value, [1, 0, 0.25, 0.5]
    )
    np.testing.assert_array_equal(
        performance_profile(figures, levels, minimize=False).value, [0.25, 1, 1, 0.5]
    )


def test_profile_is_the_empirical_distribution_or_survival_function():
    figures = np.random.default_rng(7).normal(size=(3, 40))
    levels, functions = np.linspace(-2, 2, 31), stats.ecdf(figures.ravel())
    lower, upper = (
        performance_profile(figures, levels, minimize).value for minimize in (True, False)
    )
    np.testing.assert_allclose(lower, functions.cdf.evaluate(levels))
    np.testing.assert_allclose(upper, functions.sf.evaluate(levels))


@pytest.mark.parametrize("minimize", [True, False])
def test_the_band_is_at_every_level_the_interval_of_the_share(minimize):
    figures = np.random.default_rng(8).normal(size=(3, 40))
    levels = np.array([-1.0, 0.0, 0.7])
    band = performance_profile(figures, levels, minimize)
    for index, level in enumerate(levels):
        expected = bootstrap((figures <= level if minimize else figures >= level).astype(float))
        found = [band.value[index], band.low[index], band.high[index]]
        np.testing.assert_allclose(found, [expected.value, expected.low, expected.high])


def test_a_figure_that_is_not_a_number_reaches_no_level_and_beats_nothing():
    figures = np.array([[0.0, np.nan]])
    for minimize, level in ((True, np.inf), (False, -np.inf)):
        assert performance_profile(figures, np.array([level]), minimize).value == [0.5]
        assert probability_of_improvement(np.full((1, 2), np.nan), figures, minimize).value == 0
