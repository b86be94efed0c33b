"""Paired rollouts: many policies on the same problems, as large batches."""

import contextlib
import functools
import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from autoloss_gym.core.task import Control
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.tools import tree

from ..environments import MakeEnv
from ..policies.policy import Policy
from .episode_store import EpisodeStore

MAX_RUNS = 512  # runs in a batch; more gain nothing and cost memory
MAX_POLICIES = 32  # policies in a batch; each is asked in turn at every step
_SHARES = "shares of the pairs"


@dataclass
class Episodes:
    """What one policy achieved.

    Args:
        figures: the final figures by name, each (problems,): `best_score`, `score`, `steps`,
            `diverged`, `validation`, ….
        shares: mean share of each pair at every step, over the problems still running, (max_steps,
            pairs).
    """

    figures: dict[str, np.ndarray]
    shares: np.ndarray

    @property
    def best_scores(self) -> np.ndarray:
        return self.figures["best_score"]


Progress = Callable[[int, int], None]
Play = Callable[
    [Sequence[Policy], np.ndarray], list[Episodes]
]  # (policies, seeds) → the episodes of each policy


@contextlib.contextmanager
def worker_processes(num_workers: int) -> Iterator[Executor | None]:
    """A pool of processes with one PyTorch thread each; None for a single one, which is this."""
    if num_workers == 1:
        yield None
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        num_workers, context, initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        yield pool


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
        progress: called with the episodes done and their total.
        store: keeps finished batches, and gives back those that it has.
        pool: processes that play the batches; without one they are played here.
        num_batches: into how many the problems are divided at least.

    Returns:
        The episodes of each policy, in the order of `seeds`.
    """
    groups, parts = [], []
    for group in _same_environment(policies):
        width = max(1, min(MAX_RUNS // len(group), -(-len(seeds) // num_batches)))
        for start in range(0, len(seeds), width):
            groups.append(group)
            parts.append(seeds[start : start + width])
    members = [[policies[index] for index in group] for group in groups]
    play = functools.partial(_stored, make_env=make_env, store=store)
    results: dict[int, list[Episodes]] = {index: [] for index in range(len(policies))}
    done = 0
    for group, part, played in zip(
        groups, parts, (pool.map if pool else map)(play, members, parts), strict=True
    ):
        for index, episodes in zip(group, played, strict=True):
            results[index].append(episodes)
        done += len(part) * len(group)
        progress(done, len(seeds) * len(policies))
    return [_join(parts) for parts in results.values()]


def _same_environment(policies: Sequence[Policy]) -> list[list[int]]:
    """Indices of policies that can share a batch, at most `MAX_POLICIES` in a group."""
    groups: dict[str, list[int]] = {}
    for index, policy in enumerate(policies):
        key = json.dumps([policy.env_arguments, policy.diagnostics], sort_keys=True)
        groups.setdefault(key, []).append(index)
    return [
        group[i : i + MAX_POLICIES]
        for group in groups.values()
        for i in range(0, len(group), MAX_POLICIES)
    ]


def _stored(
    policies: list[Policy], seeds: np.ndarray, make_env: MakeEnv, store: EpisodeStore | None
) -> list[Episodes]:
    """The episodes of one batch, from the store where it has them."""
    known = store.load(policies, seeds) if store else None
    if known is not None:
        return [
            Episodes({n: v for n, v in each.items() if n != _SHARES}, each[_SHARES])
            for each in known
        ]
    played = _play(policies, make_env, seeds)
    if store:
        store.save(
            policies, seeds, [{**episodes.figures, _SHARES: episodes.shares} for episodes in played]
        )
    return played


def _play(policies: list[Policy], make_env: MakeEnv, seeds: np.ndarray) -> list[Episodes]:
    """One batch of (policies × problems) runs, until each has ended once."""
    count, total = len(seeds), len(seeds) * len(policies)
    env = make_env(num_envs=total, **policies[0].env_arguments)
    slices = [slice(k * count, (k + 1) * count) for k in range(len(policies))]
    observations, infos = env.reset(seed=np.tile(seeds, len(policies)).tolist())
    for policy in policies:
        policy.reset(seeds)
    running, shares = np.ones(total, dtype=bool), []
    figures: dict[str, np.ndarray] = {}
    while running.any():
        if policies[0].diagnostics:
            infos = infos | env.diagnostics()
        control = decide(policies, slices, env, observations, infos)
        shares.append(_shares(control.weights.cpu().numpy(), running, slices))
        observations, _, ended, _, infos = env.step_control(control)
        if ended.any():
            _collect(figures, infos["final_info"], ended & running)
            running &= ~ended
    env.close()
    stacked = np.stack(shares).repeat(env.repeat, axis=0)  # (steps, policies, pairs)
    return [
        Episodes({n: v[s] for n, v in figures.items()}, stacked[:, k]) for k, s in enumerate(slices)
    ]


def decide(
    policies: list[Policy],
    slices: list[slice],
    env: AutoLossVectorEnv,
    observations: np.ndarray,
    infos: dict[str, Any],
) -> Control:
    """What all policies do next, each in the runs of its slice."""
    parts = []
    for policy, rows in zip(policies, slices, strict=True):
        known = {n: v[rows] for n, v in infos.items() if isinstance(v, np.ndarray)}
        action = policy.act(observations[rows], known)
        if not isinstance(action, Control):
            action = env.control(env.task, action, rows.stop - rows.start, env.device)
        parts.append(tree.map_tensors(lambda tensor: tensor.to(env.device), action))
    choices = [part.choice for part in parts]
    return Control(
        weights=torch.cat([part.weights for part in parts]),
        step_size=torch.cat([part.step_size for part in parts]),
        choice=None if any(choice is None for choice in choices) else np.concatenate(choices),
    )


def _shares(weights: np.ndarray, running: np.ndarray, slices: list[slice]) -> np.ndarray:
    """Mean normalised weight of each pair, (policies, pairs); NaN for a policy whose runs have all
    ended.
    """
    shares = np.where(running[:, None], weights / weights.sum(axis=1, keepdims=True), 0.0)
    counts = np.array([running[rows].sum() for rows in slices], dtype=float)[:, None]
    return np.array([shares[rows].sum(axis=0) for rows in slices]) / np.where(
        counts > 0, counts, np.nan
    )


def _collect(figures: dict[str, np.ndarray], final: dict[str, Any], rows: np.ndarray) -> None:
    for name, values in final.items():
        if not name.startswith("_"):
            figures.setdefault(name, np.zeros_like(values))[rows] = values[rows]


def _join(parts: list[Episodes]) -> Episodes:
    longest = max(len(part.shares) for part in parts)
    counts = [len(part.figures["steps"]) for part in parts]
    padded = [
        np.pad(p.shares, ((0, longest - len(p.shares)), (0, 0)), constant_values=np.nan)
        for p in parts
    ]
    stacked = np.stack(padded)
    weights = np.where(np.isnan(stacked), 0.0, np.array(counts, dtype=float)[:, None, None])
    total = weights.sum(axis=0)
    return Episodes(
        figures={
            name: np.concatenate([part.figures[name] for part in parts])
            for name in parts[0].figures
        },
        shares=np.where(
            total > 0, (np.nan_to_num(stacked) * weights).sum(axis=0) / np.maximum(total, 1), np.nan
        ),
    )
