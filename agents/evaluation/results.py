"""Results of a benchmark: one row for each entrant."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autoloss_gym.controllers.controller import Controller
from autoloss_gym.controllers.policy import Policy
from autoloss_gym.core.task import Metric

from ..policies.constants import is_constant
from ..policies.trained.trained_policy import TrainedPolicy
from ..policies.trained.zip_policy import ZipPolicy
from .entrants import Entrant
from .rollout import Episodes
from .statistics import (
    Estimate,
    bootstrap,
    interquartile_mean,
    paired_difference,
    probability_of_improvement,
)


@dataclass
class Row:
    """An entrant's results.

    Args:
        label: its name.
        static: ignores what it observes, and may be the reference.
        reactive: decides by what it observes, at the cost of one training run a problem.
        trained: was learned.
        figures: `best_score`, (training seeds, problems).
        last_scores: `score` at the last step, of the same shape.
        others: the other score metrics by name, at the best validation, of the same shape.
        mean, interquartile_mean: of `best_score`.
        difference: paired mean difference to the reference; None for the reference itself, or where
            there is none.
        improvement: probability of a better score than the reference's on the same problem; None
            like `difference`.
        chosen: the candidate that did best on validation problems, if there was a choice.
        shares: mean share of each pair at every step, (max_steps, pairs).
        diverged, collapsed: share of runs that did.
        training_runs: what its search and its choice, or its training with one seed, have cost
            before these problems; None where that is not known, as of .zip files.
        training_runs_each: trainings of each of these problems.
        constants: number of constants of which it is the best; 0 for what is no choice of them.
    """

    label: str
    static: bool
    reactive: bool
    trained: bool
    figures: np.ndarray
    last_scores: np.ndarray
    others: dict[str, np.ndarray]
    mean: Estimate
    interquartile_mean: Estimate
    difference: Estimate | None
    improvement: Estimate | None
    chosen: str | None
    shares: np.ndarray
    diverged: float
    collapsed: float
    training_runs: int | None = 0
    training_runs_each: int = 1
    constants: int = 0


@dataclass
class Benchmark:
    """The rows, best mean first, and what they were compared with.

    Args:
        rows: one for each entrant.
        metric: the figure of merit.
        reference: label of the static entrant with the best mean on validation problems.
        instances: the number that names each problem, (problems,).
        pairs: names of the task's pairs.
        noun: "problems", or "resamples" of one data set, or "runs of …" where some are repeated.
    """

    rows: list[Row]
    metric: Metric
    reference: str | None
    instances: np.ndarray
    pairs: list[str]
    noun: str


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
