"""The row of an entrant, from the episodes that it has played."""

from collections.abc import Sequence

import numpy as np

from autoloss_gym.controllers.controller import Controller
from autoloss_gym.controllers.policy import Policy
from autoloss_gym.core.task import Metric

from ..policies.constants import is_constant
from ..policies.trained.trained_policy import TrainedPolicy
from ..policies.trained.zip_policy import ZipPolicy
from .entrants import Entrant
from .rollout import Episodes
from .rows import Row
from .statistics import (
    bootstrap,
    interquartile_mean,
    paired_difference,
    probability_of_improvement,
)


def make_row(
    entrant: Entrant,
    policies: list[Policy],
    runs: list[Episodes],
    baseline: np.ndarray | None,
    metrics: Sequence[Metric],
) -> Row:
    """The row of an entrant.

    Args:
        entrant: its name and kind.
        policies: those that it played with.
        runs: the episodes of each.
        baseline: the reference's scores (1, problems), where it is compared with them.
        metrics: what was scored, the figure of merit first.
    """
    figures = _stacked(runs, "best_score")
    difference, improvement = None, None
    if baseline is not None:
        difference = paired_difference(figures, baseline)
        improvement = probability_of_improvement(figures, baseline, metrics[0].minimize)
    return Row(
        label=entrant.label,
        static=entrant.static,
        reactive=_is_reactive(entrant),
        trained=isinstance(policies[0], TrainedPolicy | ZipPolicy | Controller),
        figures=figures,
        last_scores=_stacked(runs, "score"),
        others={metric.name: _stacked(runs, metric.name) for metric in metrics[1:]},
        mean=bootstrap(figures),
        interquartile_mean=bootstrap(figures, interquartile_mean),
        difference=difference,
        improvement=improvement,
        chosen=policies[0].label if entrant.mode == "tuned" else None,
        shares=np.mean([run.shares for run in runs], axis=0),
        diverged=float(np.mean([run.figures["diverged"].mean() for run in runs])),
        collapsed=float(np.mean([run.figures["collapsed"].mean() for run in runs])),
        training_runs=None if isinstance(policies[0], ZipPolicy) else entrant.training_runs,
        training_runs_each=len(entrant.candidates) if entrant.mode == "each" else 1,
        constants=_num_constants(entrant),
    )


def _num_constants(entrant: Entrant) -> int:
    """Constants that it is the best of on validation problems."""
    if entrant.mode != "tuned" or not all(map(is_constant, entrant.candidates)):
        return 0
    return len(entrant.candidates)


def _is_reactive(entrant: Entrant) -> bool:
    """False for what is neither static nor reactive: many trainings a problem, or more data."""
    if entrant.mode == "each" or all(policy.static for policy in entrant.candidates):
        return False
    return not any("train_on_validation" in policy.env_arguments for policy in entrant.candidates)


def _stacked(runs: list[Episodes], name: str) -> np.ndarray:
    return np.stack([run.figures[name] for run in runs]).astype(np.float64)
