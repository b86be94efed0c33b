"""Statistics of a benchmark: figures (training seeds, problems), bootstrap intervals over both."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import stats

Statistic = Callable[[np.ndarray], np.ndarray]  # (replicates, values) → (replicates, …)


@dataclass(frozen=True)
class Estimate:
    """A figure and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Band:
    """A curve and the ends of its pointwise 95 % intervals, (levels,) each."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def mean(values: np.ndarray) -> np.ndarray:
    """Mean of every row."""
    return values.mean(axis=1)


def interquartile_mean(values: np.ndarray) -> np.ndarray:
    """Mean of the middle half of every row; a quarter, rounded down, is cut at each end."""
    return stats.trim_mean(values, 0.25, axis=1)


def bootstrap(
    figures: np.ndarray,
    statistic: Statistic = mean,
    replicates: int = 2000,
    seed: int = 0,
    coverage: float = 0.95,
) -> Estimate:
    """Percentile bootstrap of a statistic of all figures, resampling training seeds and problems.

    Args:
        figures: (training seeds, problems); a policy that is not trained has one row.
        statistic: maps (replicates, values) to (replicates,).
        replicates: bootstrap samples.
        seed: of the resampling.
        coverage: of the interval.
    """
    value, low, high = _with_interval(figures, statistic, replicates, seed, coverage)
    return Estimate(float(value), float(low), float(high))


def _with_interval(
    figures: np.ndarray, statistic: Statistic, replicates: int, seed: int, coverage: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The statistic of all figures and the ends of its interval, each shaped like one replicate."""
    samples = statistic(_resampled(figures, replicates, seed))
    ends = [(1 - coverage) / 2, (1 + coverage) / 2]
    low, high = np.quantile(samples, ends, axis=0)
    value = statistic(figures.reshape(1, -1))[0]
    return value, low, high


def _resampled(figures: np.ndarray, replicates: int, seed: int) -> np.ndarray:
    """Bootstrap samples, (replicates, training seeds × problems).

    Seeds and problems are drawn independently of each other, and every combination is taken: runs
    of one training seed, and runs on one problem, are not independent.
    """
    generator = np.random.default_rng(seed)
    seeds, problems = figures.shape
    drawn_problems = generator.integers(problems, size=(replicates, 1, problems))
    drawn_seeds = generator.integers(seeds, size=(replicates, seeds, 1))
    return figures[drawn_seeds, drawn_problems].reshape(replicates, -1)


def paired_difference(figures: np.ndarray, reference: np.ndarray) -> Estimate:
    """Mean difference to a reference on the same problems.

    Args:
        figures: (training seeds, problems).
        reference: (1, problems).
    """
    return bootstrap(figures - reference)


def probability_of_improvement(
    figures: np.ndarray, reference: np.ndarray, minimize: bool
) -> Estimate:
    """Probability of a better figure than the reference's on the same problem.

    A tie counts one half. It is the probability of improvement of Agarwal et al. (2021), "Deep
    reinforcement learning at the edge of the statistical precipice", Section 4, with runs paired by
    problem. Where no run or every run is better, the interval is a point: the bootstrap knows no
    more than what was seen.

    Args:
        figures: (training seeds, problems).
        reference: (1, problems).
        minimize: whether lower figures are better.
    """
    better = figures < reference if minimize else figures > reference
    return bootstrap(better + 0.5 * (figures == reference))


def performance_profile(
    figures: np.ndarray,
    levels: np.ndarray,
    minimize: bool,
    replicates: int = 2000,
    seed: int = 0,
    coverage: float = 0.95,
) -> Band:
    """Share of all runs whose figure is at least as good as each level; NaN never is.

    The run-score distribution of Agarwal et al. (2021), Section 4, with the percentile bootstrap of
    `bootstrap`.

    Args:
        figures: (training seeds, problems).
        levels: (levels,), in any order.
        minimize: whether lower figures are better.
        replicates, seed, coverage: as in `bootstrap`; the coverage holds for each level by itself.
    """
    sign = 1 if minimize else -1
    share = partial(_share_up_to, levels=sign * levels)
    return Band(*_with_interval(sign * figures, share, replicates, seed, coverage))


def _share_up_to(values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """The empirical distribution function of every row, (replicates, levels)."""
    counts = [np.searchsorted(row, levels, side="right") for row in np.sort(values, axis=1)]
    return np.stack(counts) / values.shape[1]
