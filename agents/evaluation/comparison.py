"""The paired benchmark: choices on validation problems, then all on the same new problems."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autoloss_gym.controllers.controller import Controller
from autoloss_gym.controllers.policy import Policy
from autoloss_gym.core.task import Task

from ..environments import SEED_SPACING, MakeEnv
from ..policies.searched import Search
from ..policies.trained.trained_policy import TrainedPolicy
from .batches import runs_of_a_batch
from .costs import training_runs
from .entrants import Entrant
from .results import make_row
from .rollout import Episodes, Play, PlayBatches, Progress, here, rollout
from .rows import Benchmark
from .schedule_search import Found, search, whole_search
from .selection import choose
from .store import EpisodeStore

Announce = Callable[[str, int, int], None]


def run_benchmark(
    entrants: Sequence[Entrant],
    make_env: Callable[[str], MakeEnv],
    split: str,
    episodes: int,
    seed: int,
    announce: Announce = lambda what, done, total: None,
    folder: Path | None = None,
    play_batches: PlayBatches = here,
    runs_together: int | None = None,
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
        folder: keeps finished batches; the same benchmark continues from them after it was killed.
        play_batches: who plays.
        runs_together: in a batch at most; by default so many as suit their number and the task.
    """
    _load(entrants, make_env(split))
    task = make_env(split)(num_envs=1).task
    minimize = task.score_metrics[0].minimize
    seeds = seed * SEED_SPACING + np.arange(episodes)
    # The table may itself be on validation or training problems: choices and searches then need
    # other problems than the table's.
    choosing_seeds = seeds + SEED_SPACING // 2
    searched_from = seeds[0] + (SEED_SPACING // 4 if split == "train" else 0)

    def play_on(split: str, progress: Progress) -> Play:
        store = EpisodeStore(folder, split, task) if folder else None

        def play(policies: Sequence[Policy], seeds: np.ndarray) -> list[Episodes]:
            most_runs = runs_together or runs_of_a_batch(task, len(policies) * len(seeds))
            return rollout(
                policies, make_env(split), seeds, progress, store, play_batches, most_runs
            )

        return play

    def search_play(search: Search) -> Play:
        return play_on("train", whole_search(search.plan, functools.partial(announce, "search")))

    _search(entrants, search_play, int(searched_from), minimize)
    play = play_on("validation", functools.partial(announce, "choice"))
    chosen, reference = _choose(entrants, play, choosing_seeds, minimize)
    results = _play_all(chosen, play_on(split, functools.partial(announce, split)), seeds)
    return _tabulate(task, entrants, chosen, results, reference)


def _load(entrants: Sequence[Entrant], make_env: MakeEnv) -> None:
    """Read the weights of trained policies, and what these have cost."""
    for entrant in entrants:
        for policy in entrant.candidates:
            if isinstance(policy, TrainedPolicy):
                envs = make_env(num_envs=1, **policy.env_arguments)
                policy.load(envs)
                entrant.training_runs = max(entrant.training_runs, training_runs(policy, envs))
            elif isinstance(policy, Controller):
                entrant.training_runs = max(entrant.training_runs, policy.training_runs)


def _search(
    entrants: Sequence[Entrant],
    search_play: Callable[[Search], Play],
    first_problem: int,
    minimize: bool,
) -> None:
    """Find the candidates of entrants that are searched; equal searches are made once."""
    results: dict[tuple[Any, ...], Found] = {}
    for entrant in entrants:
        wanted = entrant.search
        if wanted is None:
            continue
        key = wanted.space, wanted.plan
        if key not in results:
            seeds = first_problem + np.arange(wanted.plan.all_problems)
            results[key] = search(wanted.space, wanted.plan, search_play(wanted), seeds, minimize)
        entrant.candidates = wanted.candidates(results[key].schedules)
        entrant.training_runs = results[key].training_runs


def _choose(
    entrants: Sequence[Entrant], play: Play, seeds: np.ndarray, minimize: bool
) -> tuple[list[list[Policy]], int | None]:
    """The policies that each entrant plays with, and the index of the reference.

    Both come from means on validation problems; the reference is the best static entrant.
    """
    contested = {
        index: entrant.candidates
        for index, entrant in enumerate(entrants)
        if entrant.mode == "tuned" or entrant.static
    }
    winners = choose(list(contested.values()), play, seeds, minimize)

    chosen = [list(entrant.candidates) for entrant in entrants]
    static: dict[int, float] = {}
    for index, winner in zip(contested, winners, strict=True):
        chosen[index] = [winner.policy]
        if len(contested[index]) > 1:
            entrants[index].training_runs += winner.training_runs
        if entrants[index].static:
            static[index] = winner.mean if minimize else -winner.mean
    reference = min(static, key=static.__getitem__) if static else None
    return chosen, reference


def _play_all(chosen: list[list[Policy]], play: Play, seeds: np.ndarray) -> list[list[Episodes]]:
    """The episodes of each entrant's policies, all played in shared batches."""
    played = iter(play([policy for policies in chosen for policy in policies], seeds))
    return [[next(played) for _ in policies] for policies in chosen]


def _tabulate(
    task: Task,
    entrants: Sequence[Entrant],
    chosen: list[list[Policy]],
    results: list[list[Episodes]],
    reference: int | None,
) -> Benchmark:
    """The rows, sorted, of what was played."""
    baseline = None if reference is None else results[reference][0].best_scores[None]
    rows = []
    for index, (entrant, policies, runs) in enumerate(zip(entrants, chosen, results, strict=True)):
        if entrant.mode == "each":
            runs = [_best_of_each(runs, task.validation_metrics[0].minimize)]
        compared = None if index == reference else baseline
        rows.append(make_row(entrant, policies, runs, compared, task.score_metrics))

    metric = task.score_metrics[0]
    sign = 1 if metric.minimize else -1
    rows.sort(key=lambda row: sign * row.mean.value)
    instances = results[0][0].figures["instance"]
    return Benchmark(
        rows=rows,
        metric=metric,
        reference=None if reference is None else entrants[reference].label,
        instances=instances,
        pairs=[pair.name for pair in task.pairs],
        noun=_noun(task, instances),
    )


def _noun(task: Task, instances: np.ndarray) -> str:
    distinct = len(np.unique(instances))
    if distinct == len(instances):
        return task.instances
    return f"runs of {distinct} {task.instances}"


def _best_of_each(runs: list[Episodes], minimize: bool) -> Episodes:
    """For each problem the run with the best validation; one that diverged only if all did."""
    sign = 1 if minimize else -1
    metric = sign * np.stack([run.figures["best_validation"] for run in runs])
    diverged = np.stack([run.figures["diverged"] for run in runs])
    winners = np.argmin(np.where(diverged, np.inf, metric), axis=0)
    problems = np.arange(len(winners))
    figures = {}
    for name in runs[0].figures:
        figures[name] = np.stack([run.figures[name] for run in runs])[winners, problems]
    return Episodes(figures, np.mean([runs[winner].shares for winner in winners], axis=0))
