"""The paired benchmark: choices on validation problems, then every entrant once on the same unseen
problems.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoloss_gym.core.task import Metric, Task

from ..environments import SEED_SPACING, MakeEnv
from ..policies.policy import Policy
from ..policies.trained_policy import TrainedPolicy
from .entrants import Entrant
from .rollout import Episodes, Play, rollout, worker_processes
from .schedule_search import GENERATIONS, PROBLEMS, search
from .statistics import (
    Estimate,
    bootstrap,
    interquartile_mean,
    paired_difference,
    probability_of_improvement,
)
from .store import Store
from .successive_halving import choose

Announce = Callable[[str, int, int], None]


@dataclass
class Row:
    """What the table says of an entrant.

    Args:
        label: its name.
        static, trained: whether it looks at nothing; whether it was learned.
        figures: `best_score`, (training seeds, problems).
        last_scores: `score` at the last step, of the same shape.
        others: the other score metrics by name, at the best validation, of the same shape.
        mean, interquartile_mean: of `best_score`.
        difference: paired mean difference to the reference; None for the reference itself or where
            there is none.
        improvement: probability of a better score than the reference's on the same problem; None
            like `difference`.
        chosen: the candidate that validation problems chose, if there was a choice.
        shares: mean share of each pair at every step, (max_steps, pairs).
        diverged: share of runs that diverged.
        collapsed: share of runs that collapsed.
    """

    label: str
    static: bool
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


@dataclass
class Benchmark:
    """The rows, best mean first, and what they were compared with."""

    rows: list[Row]
    metric: Metric
    reference: str | None
    instances: np.ndarray
    pairs: list[str]
    noun: str  # what the instances are: "problems", or "resamples" of one data set


def run_benchmark(
    entrants: Sequence[Entrant],
    make_env: Callable[[str], MakeEnv],
    split: str,
    episodes: int,
    seed: int,
    announce: Announce = lambda what, done, total: None,
    folder: Path | None = None,
    num_workers: int = 1,
) -> Benchmark:
    """Play every entrant on the same problems.

    Args:
        entrants: what is compared.
        make_env: split → (num_envs, **arguments) → environment.
        split: where the table's figures come from; choices always come from "validation", searches
            from "train".
        episodes: problems on each split, at most half of `SEED_SPACING`.
        seed: numbers the problems; commands with different seeds share none.
        announce: called with the stage, the episodes done and their total.
        folder: keeps finished batches, which the same benchmark takes up again after it was killed.
        num_workers: processes that play, each with batches of its own.
    """
    _load(entrants, make_env(split))
    task = make_env(split)(num_envs=1).task
    minimize = task.score_metrics[0].minimize
    seeds = seed * SEED_SPACING + np.arange(episodes)
    tuning_seeds = (
        seeds + SEED_SPACING // 2
    )  # other problems than the table's, also where that is on validation
    searching_seeds = (
        seeds[0] + (SEED_SPACING // 4) * (split == "train") + np.arange(GENERATIONS * PROBLEMS)
    )
    with worker_processes(num_workers) as pool:

        def play(stage: str, split: str) -> Play:
            store, progress = (
                Store(folder, split) if folder else None,
                functools.partial(announce, stage),
            )
            return lambda policies, seeds: rollout(
                policies, make_env(split), seeds, progress, store, pool, num_workers
            )

        for entrant in entrants:
            if entrant.knots:
                entrant.candidates = search(
                    task, entrant.knots, play("search", "train"), searching_seeds, minimize
                )
        chosen, reference = _choose(entrants, play("choice", "validation"), tuning_seeds, minimize)
        played = iter(
            play(split, split)([policy for candidates in chosen for policy in candidates], seeds)
        )
    return _tabulate(
        task,
        entrants,
        chosen,
        [[next(played) for _ in candidates] for candidates in chosen],
        reference,
    )


def _tabulate(
    task: Task,
    entrants: Sequence[Entrant],
    chosen: list[list[Policy]],
    results: list[list[Episodes]],
    reference: int | None,
) -> Benchmark:
    """The rows of what was played."""
    metric, baseline = (
        task.score_metrics[0],
        None if reference is None else results[reference][0].best_scores[None],
    )
    others, rows = [each.name for each in task.score_metrics[1:]], []
    for index, (entrant, candidates, runs) in enumerate(
        zip(entrants, chosen, results, strict=True)
    ):
        compared = None if index == reference else baseline
        rows.append(
            _row(
                entrant,
                candidates,
                runs,
                compared,
                task.validation_metrics[0].minimize,
                metric.minimize,
                others,
            )
        )
    rows.sort(key=lambda row: row.mean.value if metric.minimize else -row.mean.value)
    instances = results[0][0].figures["instance"]
    distinct = len(np.unique(instances))
    noun = task.instances if distinct == len(instances) else f"runs of {distinct} {task.instances}"
    label = None if reference is None else entrants[reference].label
    return Benchmark(rows, metric, label, instances, [pair.name for pair in task.pairs], noun)


def _load(entrants: Sequence[Entrant], make_env: MakeEnv) -> None:
    for entrant in entrants:
        for policy in entrant.candidates:
            if isinstance(policy, TrainedPolicy):
                policy.load(make_env(num_envs=1, **policy.env_arguments))


def _choose(
    entrants: Sequence[Entrant], play: Play, seeds: np.ndarray, minimize: bool
) -> tuple[list[list[Policy]], int | None]:
    """What each entrant plays with, and which static one is the reference, by the mean on
    validation problems.
    """
    contested = [
        i for i, entrant in enumerate(entrants) if entrant.mode == "tuned" or entrant.static
    ]
    best = dict(
        zip(
            contested,
            choose([entrants[i].candidates for i in contested], play, seeds, minimize),
            strict=True,
        )
    )
    chosen = [
        [best[i][0]] if i in best else list(entrant.candidates)
        for i, entrant in enumerate(entrants)
    ]
    static = {i: mean if minimize else -mean for i, (_, mean) in best.items() if entrants[i].static}
    return chosen, min(static, key=static.__getitem__) if static else None


def _row(
    entrant: Entrant,
    candidates: list[Policy],
    runs: list[Episodes],
    baseline: np.ndarray | None,
    minimize: bool,
    minimize_score: bool,
    others: Sequence[str] = (),
) -> Row:
    if entrant.mode == "each":
        runs = [_best_of_each(runs, minimize)]
    figures = np.stack([run.best_scores for run in runs]).astype(np.float64)
    return Row(
        label=entrant.label,
        static=entrant.static,
        trained=isinstance(candidates[0], TrainedPolicy),
        figures=figures,
        last_scores=np.stack([run.figures["score"] for run in runs]).astype(np.float64),
        others={
            name: np.stack([run.figures[name] for run in runs]).astype(np.float64)
            for name in others
        },
        mean=bootstrap(figures),
        interquartile_mean=bootstrap(figures, interquartile_mean),
        difference=None if baseline is None else paired_difference(figures, baseline),
        improvement=None
        if baseline is None
        else probability_of_improvement(figures, baseline, minimize_score),
        chosen=candidates[0].label if entrant.mode == "tuned" else None,
        shares=np.mean([run.shares for run in runs], axis=0),
        diverged=float(np.mean([run.figures["diverged"].mean() for run in runs])),
        collapsed=float(np.mean([run.figures["collapsed"].mean() for run in runs])),
    )


def _best_of_each(runs: list[Episodes], minimize: bool) -> Episodes:
    """For each problem the run with the best validation metric; one that diverged only if all did."""
    metric = np.stack([run.figures["best_validation"] for run in runs]) * (1 if minimize else -1)
    winners = np.argmin(np.where([run.figures["diverged"] for run in runs], np.inf, metric), axis=0)
    figures = {
        name: np.stack([run.figures[name] for run in runs])[winners, np.arange(len(winners))]
        for name in runs[0].figures
    }
    return Episodes(figures, np.mean([runs[winner].shares for winner in winners], axis=0))
