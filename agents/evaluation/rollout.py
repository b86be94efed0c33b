"""Paired rollouts: many policies on the same problems, as large batches."""

import functools
import json
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from autoloss_gym.controllers.policy import Policy

from ..environments import MakeEnv
from .loop import Step, is_known, play_episodes, play_known, rows_of
from .store import SHARES, EpisodeStore, figures_of

MAX_RUNS = 512  # runs in a batch; more gain nothing and cost memory
MAX_POLICIES = 32  # policies in a batch; each is asked in turn at every step


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


@dataclass(frozen=True)
class _Batch:
    """Policies, by their indices, that are played together on some of the problems."""

    indices: list[int]
    seeds: np.ndarray


Progress = Callable[[int, int], None]
Play = Callable[
    [Sequence[Policy], np.ndarray], list[Episodes]
]  # (policies, seeds) → their episodes


def rollout(
    policies: Sequence[Policy],
    make_env: MakeEnv,
    seeds: np.ndarray,
    progress: Progress = lambda done, total: None,
    store: EpisodeStore | None = None,
    pool: Executor | None = None,
    num_batches: int = 1,
) -> list[Episodes]:
    """One episode of every policy on every problem.

    Args:
        policies: they meet the same problems.
        make_env: (num_envs, **env_arguments) → environment; it must be picklable for a pool.
        seeds: (problems,), int64; problem j is the first episode of an environment seeded with
            `seeds[j]`.
        progress: called with the number of episodes done and their total.
        store: keeps finished batches, and gives back those that it has.
        pool: processes that play the batches; without one they are played here.
        num_batches: the least number of parts into which the problems are divided.

    Returns:
        The episodes of each policy, in the order of `seeds`.
    """
    batches = _batches(policies, seeds, num_batches)
    members = [[policies[index] for index in batch.indices] for batch in batches]
    parts = [batch.seeds for batch in batches]
    play = functools.partial(_play_or_load, make_env=make_env, store=store)
    played = pool.map(play, members, parts) if pool else map(play, members, parts)

    found: list[list[Episodes]] = [[] for _ in policies]
    done = 0
    for batch, results in zip(batches, played, strict=True):
        for index, episodes in zip(batch.indices, results, strict=True):
            found[index].append(episodes)
        done += len(batch.indices) * len(batch.seeds)
        progress(done, len(policies) * len(seeds))
    return [_join(episodes) for episodes in found]


def _batches(policies: Sequence[Policy], seeds: np.ndarray, num_batches: int) -> list[_Batch]:
    """All policies on all problems, in batches of at most `MAX_RUNS` runs."""
    widest = -(-len(seeds) // num_batches)
    batches = []
    for indices in _same_environment(policies):
        width = max(1, min(MAX_RUNS // len(indices), widest))
        for start in range(0, len(seeds), width):
            batches.append(_Batch(indices, seeds[start : start + width]))
    return batches


def _same_environment(policies: Sequence[Policy]) -> list[list[int]]:
    """Indices of policies that can share a batch, at most `MAX_POLICIES` in a group."""
    alike: dict[str, list[int]] = {}
    for index, policy in enumerate(policies):
        key = json.dumps([policy.env_arguments, policy.diagnostics], sort_keys=True)
        alike.setdefault(key, []).append(index)

    groups = []
    for indices in alike.values():
        for start in range(0, len(indices), MAX_POLICIES):
            groups.append(indices[start : start + MAX_POLICIES])
    return groups


def _play_or_load(
    policies: list[Policy], seeds: np.ndarray, make_env: MakeEnv, store: EpisodeStore | None
) -> list[Episodes]:
    """The episodes of one batch, from the store where it has them."""
    arrays = store.load(policies, seeds) if store else None
    if arrays is None:
        arrays = _play_batch(policies, seeds, make_env)
        if store:
            store.save(policies, seeds, arrays)
    return _split(arrays, policies)


def _play_batch(
    policies: list[Policy], seeds: np.ndarray, make_env: MakeEnv
) -> dict[str, np.ndarray]:
    """Final figures of all runs, (runs,), and shares of the pairs, (policies, steps, pairs)."""
    num_runs = len(policies) * len(seeds)
    envs = make_env(num_envs=num_runs, **policies[0].env_arguments)
    rows = rows_of(policies, seeds)
    figures = {name: np.zeros(num_runs, dtype) for name, dtype in figures_of(envs.task).items()}
    shares = []

    def record(step: Step) -> None:
        means = _mean_shares(step.shares, step.running, rows)
        shares.append(means[:, None].repeat(step.updates, axis=1))
        if step.ended.any():
            _collect(figures, step.infos["final_info"], step.ended)

    known = all(is_known(policy, envs) for policy in policies)
    play = play_known if known else play_episodes
    play(policies, envs, seeds, record)
    envs.close()
    return {**figures, SHARES: np.concatenate(shares, axis=1)}


def _mean_shares(shares: np.ndarray, running: np.ndarray, slices: list[slice]) -> np.ndarray:
    """Mean share of each pair among the running runs of each policy, (policies, pairs).

    NaN for a policy whose runs have all ended.
    """
    counted = np.where(running[:, None], shares, 0.0)
    means = np.full((len(slices), shares.shape[1]), np.nan)
    for index, rows in enumerate(slices):
        count = running[rows].sum()
        if count:
            means[index] = counted[rows].sum(axis=0) / count
    return means


def _collect(figures: dict[str, np.ndarray], final: dict[str, Any], rows: np.ndarray) -> None:
    """Take the final figures of the runs that have just ended."""
    for name, values in figures.items():
        values[rows] = final[name][rows]


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
