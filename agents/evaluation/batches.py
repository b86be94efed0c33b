"""Batches of runs: some policies, each on the same problems."""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from autoloss_gym.controllers.policy import Policy
from autoloss_gym.core.state import Keys
from autoloss_gym.core.task import Task
from autoloss_gym.tools import tree

from ..environments import MakeEnv
from .loop import Step, is_known, play_episodes, play_known, rows_of
from .store import SHARES, figures_of

MAX_RUNS = 512  # runs in a batch; more gain nothing and cost memory
MAX_POLICIES = 32  # policies in a batch; each is asked in turn at every step
_LEAST_RUNS = 128  # smaller batches are slower for each run
_PARTS = 4  # that more runs than that are divided into, so that several processes have some
_MOST_BYTES = 64 << 20  # of the runs of a batch: more leave the caches, and make long cells


@dataclass(frozen=True)
class Batch:
    """Policies that are played together on some of the problems.

    Args:
        indices: of the policies among all.
        policies: those themselves.
        seeds: numbers of the problems, int64.
    """

    indices: list[int]
    policies: list[Policy]
    seeds: np.ndarray

    @property
    def num_runs(self) -> int:
        return len(self.policies) * len(self.seeds)


def batches_of(policies: Sequence[Policy], seeds: np.ndarray, most_runs: int) -> list[Batch]:
    """All policies on all problems, in batches of at most so many runs.

    They depend on nothing else, so that whoever plays finds those that others have played.
    """
    batches = []
    for indices in _same_environment(policies):
        width = max(1, most_runs // len(indices))
        members = [policies[index] for index in indices]
        for start in range(0, len(seeds), width):
            batches.append(Batch(indices, members, seeds[start : start + width]))
    return batches


def runs_of_a_batch(task: Task, num_runs: int) -> int:
    """Runs that are played together, of so many in all; the machine has no part in it."""
    wanted = min(max(-(-num_runs // _PARTS), _LEAST_RUNS), MAX_RUNS)
    return max(1, min(wanted, _MOST_BYTES // bytes_of_a_run(task)))


@functools.lru_cache(maxsize=8)
def bytes_of_a_run(task: Task) -> int:
    """Memory of the state of a run."""
    key = torch.zeros(1, dtype=torch.int64, device="cpu")
    return sum(leaf.nbytes for leaf in tree.leaves(task.reset(Keys(key, key))))


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


def play_batch(
    policies: Sequence[Policy], seeds: np.ndarray, make_env: MakeEnv
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
            means[index] = counted[rows].sum(axis=0, dtype=np.float64) / count
    return means


def _collect(figures: dict[str, np.ndarray], final: dict[str, Any], rows: np.ndarray) -> None:
    """Take the final figures of the runs that have just ended."""
    for name, values in figures.items():
        values[rows] = final[name][rows]
