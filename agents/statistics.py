"""Statistics of a benchmark: figures (training seeds, problems), bootstrap intervals over both."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Statistic = Callable[[np.ndarray], np.ndarray]  # (replicates, values) → (replicates,)


@dataclass(frozen=True)
class Estimate:
    """A figure and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def mean(values: np.ndarray) -> np.ndarray:
    """Mean of every row."""
    return values.mean(axis=1)


def interquartile_mean(values: np.ndarray) -> np.ndarray:
    """Mean of the middle half of every row: a quarter of the values, rounded down, is cut at each end."""
    cut = values.shape[1] // 4
    return np.sort(values, axis=1)[:, cut : values.shape[1] - cut].mean(axis=1)


def bootstrap(
    figures: np.ndarray, statistic: Statistic = mean, replicates: int = 2000, seed: int = 0, level: float = 0.95
) -> Estimate:
    """Percentile bootstrap of a statistic of all figures, resampling training seeds and problems.

    Args:
        figures: (training seeds, problems); a policy that is not trained has one row.
        statistic: maps (replicates, values) to (replicates,).
        replicates: bootstrap samples.
        seed: of the resampling.
        level: coverage of the interval.
    """
    generator = np.random.default_rng(seed)
    seeds, problems = figures.shape
    drawn_problems = generator.integers(problems, size=(replicates, 1, problems))
    drawn_seeds = generator.integers(seeds, size=(replicates, seeds, 1))
    samples = statistic(figures[drawn_seeds, drawn_problems].reshape(replicates, -1))
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(statistic(figures.reshape(1, -1))[0]), float(low), float(high))


def paired_difference(figures: np.ndarray, reference: np.ndarray) -> Estimate:
    """Mean difference to a reference on the same problems, (training seeds, problems) against (1, problems)."""
    return bootstrap(figures - reference)
