"""Figures that are compared by their ratios: means and differences are of their logarithms."""

import math

import numpy as np

from agents.evaluation.statistics import Estimate, bootstrap
from studies.mixtures.report import difference


def geometric_mean(figures: np.ndarray) -> Estimate:
    """With a 95 % interval over trainings and problems.

    Args:
        figures: above 0, (trainings, problems).
    """
    return _exponential(bootstrap(np.log(figures)))


def ratio(figures: np.ndarray, reference: np.ndarray) -> Estimate:
    """Geometric mean of paired ratios, with a 95 % interval over trainings and problems.

    Args:
        figures: above 0, (trainings, problems).
        reference: on the same problems; as many trainings, each the partner of one, or of another
            number, whose geometric mean is met.
    """
    return _exponential(difference(np.log(figures), np.log(reference)))


def _exponential(estimate: Estimate) -> Estimate:
    return Estimate(math.exp(estimate.value), math.exp(estimate.low), math.exp(estimate.high))
