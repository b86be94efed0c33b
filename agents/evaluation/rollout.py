"""Paired rollouts: many policies on the same problems, as large batches."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from autoloss_gym.controllers.policy import Policy

from ..environments import MakeEnv
from .batches import MAX_RUNS, Batch, batches_of, play_batch
from .store import SHARES, EpisodeStore

Arrays = dict[str, np.ndarray]


@dataclass
class Episodes:
    """Results of one policy.

    Args:
        figures: the final figures by name, each (problems,): those that a store keeps.
        shares: mean share of each pair at every step, over the problems that are still running,
            (max_steps, pairs).
    """

    figures: dict[str, np.ndarray]
    shares: np.ndarray

    @property
    def best_scores(self) -> np.ndarray:
        return self.figures["best_score"]


Progress = Callable[[int, int], None]
Play = Callable[
    [Sequence[Policy], np.ndarray], list[Episodes]
]  # (policies, seeds) → their episodes
# Plays batches, or loads them from the store: the figures of each and its number, in any order.
PlayBatches = Callable[
    [Sequence[Batch], MakeEnv, EpisodeStore | None], Iterable[tuple[int, Arrays]]
]


def here(
    batches: Sequence[Batch], make_env: MakeEnv, store: EpisodeStore | None
) -> Iterator[tuple[int, Arrays]]:
    """Plays batches in this process."""
    for number, batch in enumerate(batches):
        yield number, _play_or_load(make_env, store, batch)


def in_processes(pool: Executor) -> PlayBatches:
    """What plays batches in other processes of this machine; policies must be picklable."""

    def play(
        batches: Sequence[Batch], make_env: MakeEnv, store: EpisodeStore | None
    ) -> Iterator[tuple[int, Arrays]]:
        return enumerate(pool.map(functools.partial(_play_or_load, make_env, store), batches))

    return play


def rollout(
    policies: Sequence[Policy],
    make_env: MakeEnv,
    seeds: np.ndarray,
    progress: Progress = lambda done, total: None,
    store: EpisodeStore | None = None,
    play_batches: PlayBatches = here,
    most_runs: int = MAX_RUNS,
) -> list[Episodes]:
    """One episode of every policy on every problem.

    Args:
        policies: they meet the same problems.
        make_env: (num_envs, **env_arguments) → environment.
        seeds: (problems,), int64; problem j is the first episode of an environment seeded with
            `seeds[j]`.
        progress: called with the number of episodes done and their total.
        store: keeps finished batches, and gives back those that it has.
        play_batches: who plays.
        most_runs: runs in a batch.

    Returns:
        The episodes of each policy, in the order of `seeds`.
    """
    batches = batches_of(policies, seeds, most_runs)
    played: dict[int, list[Episodes]] = {}
    done = 0
    for number, arrays in play_batches(batches, make_env, store):
        played[number] = _split(arrays, batches[number].policies)
        done += batches[number].num_runs
        progress(done, len(policies) * len(seeds))

    found: list[list[Episodes]] = [[] for _ in policies]
    for number, batch in enumerate(batches):
        for index, episodes in zip(batch.indices, played[number], strict=True):
            found[index].append(episodes)
    return [_join(episodes) for episodes in found]


def _play_or_load(make_env: MakeEnv, store: EpisodeStore | None, batch: Batch) -> Arrays:
    """The figures of one batch, from the store where it has them."""
    arrays = store.load(batch.policies, batch.seeds) if store else None
    if arrays is None:
        arrays = play_batch(batch.policies, batch.seeds, make_env)
        if store:
            store.save(batch.policies, batch.seeds, arrays)
    return arrays


def _split(arrays: dict[str, np.ndarray], policies: Sequence[Policy]) -> list[Episodes]:
    """The episodes of each policy of a batch."""
    figures = {name: values for name, values in arrays.items() if name != SHARES}
    count = len(figures["steps"]) // len(policies)
    episodes = []
    for index, shares in enumerate(arrays[SHARES]):
        rows = slice(index * count, (index + 1) * count)
        own = {name: values[rows] for name, values in figures.items()}
        episodes.append(Episodes(own, shares))
    return episodes


def _join(parts: list[Episodes]) -> Episodes:
    """The episodes of one policy, from those of its batches in their order."""
    figures = {}
    for name in parts[0].figures:
        figures[name] = np.concatenate([part.figures[name] for part in parts])
    return Episodes(figures, _join_shares(parts))


def _join_shares(parts: list[Episodes]) -> np.ndarray:
    """Mean shares of all batches, weighted by their numbers of problems.

    NaN where all runs have ended.
    """
    longest = max((part.shares for part in parts), key=len)
    sums = np.zeros_like(longest)
    totals = np.zeros_like(longest)
    for part in parts:
        length, problems = len(part.shares), len(part.figures["steps"])
        weights = np.where(np.isnan(part.shares), 0.0, float(problems))
        sums[:length] += weights * np.nan_to_num(part.shares)
        totals[:length] += weights
    return np.where(totals > 0, sums / np.maximum(totals, 1), np.nan)
