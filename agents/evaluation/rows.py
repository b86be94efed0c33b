"""A comparison: its rows, best first, and the words that go with them."""

from dataclasses import dataclass, field

import numpy as np

from autoloss_gym.core.task import Metric

from .statistics import Estimate


@dataclass(frozen=True)
class Words:
    """What a table says about its rows, where that differs from one comparison to another.

    Args:
        entrant: what a row is.
        scored: when or by whom a run was scored.
        counted: what n counts.
        reads: what an entrant does that is not static.
        reference: what the reference is.
        add_reference: how a comparison without one gets one.
        winner: where an entrant did best, if none is reactive.
        single: the verdict on a single problem.
        again: what confirms a winner.
    """

    entrant: str = "policy"
    scored: str = "at the best validation so far"
    counted: str = "(training seeds ×) {noun}"
    reads: str = "reacts to what it observes"
    reference: str = "the best static schedule on validation {noun}"
    add_reference: str = "add a static schedule, such as round_robin"
    winner: str = "on validation {noun}"
    single: str = "A single problem has no interval: give more --episodes for a verdict."
    again: str = "another --seed"


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
        failed: number of runs without a score.
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
    failed: int = 0


@dataclass
class Benchmark:
    """The rows, best mean first, and what they were compared with.

    Args:
        rows: one for each entrant.
        metric: the figure of merit.
        reference: label of the static entrant with the best mean on validation problems.
        instances: the number that names each problem, (problems,).
        pairs: names of the task's pairs; none where what was trained is no task.
        noun: "problems", or "resamples" of one data set, or "runs of …" where some are repeated.
        words: what its table says.
        decimals: of its figures.
    """

    rows: list[Row]
    metric: Metric
    reference: str | None
    instances: np.ndarray
    pairs: list[str]
    noun: str
    words: Words = field(default_factory=Words)
    decimals: int = 3
