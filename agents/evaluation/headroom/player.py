"""Plays schedules and clones in batches, which are kept in a folder and may be divided among
processes.
"""

import functools
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.tools.forms import Array

from ...environments import MakeEnv
from ..store import Store
from .runs import FIGURES, play_branches, play_schedules

_MOST_ENVIRONMENTS = 3  # that are kept: one a size
MAX_RUNS = 256  # runs in a batch; more gain nothing, and lose more where a command is killed
Announce = Callable[[int, int], None]  # (runs done, their total)
_DTYPES = dict.fromkeys(FIGURES, "float64") | {"instance": "int64"}


@dataclass
class Player:
    """Plays on the problems of one split.

    Args:
        make_env: (num_envs) → environment; it must be picklable for a pool.
        draw: whether weights are probabilities of pairs, one of which is drawn for every update.
        store: keeps finished batches, and gives back those that it has.
        pool: processes that play the batches; without one they are played here.
        num_workers: the least number of parts into which the problems are divided.
        announce: called after every batch.
    """

    make_env: MakeEnv
    draw: bool = False
    store: Store | None = None
    pool: Executor | None = None
    num_workers: int = 1
    announce: Announce = lambda done, total: None

    def schedules(self, knots: np.ndarray, seeds: np.ndarray) -> dict[str, np.ndarray]:
        """Final figures by name, (schedules, problems); knots are (schedules, knots, columns)."""
        parts = self._divided(seeds, len(knots))
        play = functools.partial(_schedules, self.make_env, self.store, self.draw, knots)
        played = self._play(play, parts, runs_of_a_problem=len(knots))
        return {name: np.concatenate([part[name] for part in played], axis=1) for name in FIGURES}

    def branches(
        self, base: np.ndarray, shifts: np.ndarray, moments: tuple[int, ...], seeds: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Observations and final figures of clones, see `play_branches`."""
        parts = self._divided(seeds, len(shifts))
        play = functools.partial(
            _branches, self.make_env, self.store, self.draw, base, shifts, moments
        )
        played = self._play(play, parts, runs_of_a_problem=len(shifts) * len(moments))
        joined = {name: np.concatenate([part[name] for part in played], axis=2) for name in FIGURES}
        seen = np.concatenate([part["observations"] for part in played], axis=1)
        return {"observations": seen, **joined}

    def _divided(self, seeds: np.ndarray, runs_of_a_problem: int) -> list[np.ndarray]:
        widest = -(-len(seeds) // self.num_workers)
        width = max(1, min(MAX_RUNS // runs_of_a_problem, widest))
        return [seeds[start : start + width] for start in range(0, len(seeds), width)]

    def _play(
        self, play: Callable[[np.ndarray], Any], parts: list[np.ndarray], runs_of_a_problem: int
    ) -> list[dict[str, np.ndarray]]:
        total = sum(map(len, parts)) * runs_of_a_problem
        played = []
        done = 0
        for part, found in zip(
            parts, (self.pool.map if self.pool else map)(play, parts), strict=True
        ):
            played.append(found)
            done += len(part) * runs_of_a_problem
            self.announce(done, total)
        return played


def _schedules(
    make_env: MakeEnv, store: Store | None, draw: bool, knots: np.ndarray, seeds: np.ndarray
) -> dict[str, np.ndarray]:
    """One batch of schedules, from the store where it has them."""
    key = {"schedules": knots.tolist(), "seeds": seeds.tolist()}
    form = {name: Array(_DTYPES[name], (len(knots), len(seeds))) for name in FIGURES}
    found = store.load(key, form) if store else None
    if found is None:
        found = play_schedules(functools.partial(_environment, make_env), knots, seeds, draw)
        if store:
            store.save(key, found)
    return found


def _branches(
    make_env: MakeEnv,
    store: Store | None,
    draw: bool,
    base: np.ndarray,
    shifts: np.ndarray,
    moments: tuple[int, ...],
    seeds: np.ndarray,
) -> dict[str, np.ndarray]:
    """One batch of clones, from the store where it has them."""
    key = {"base": base.tolist(), "shifts": shifts.tolist(), "moments": list(moments)}
    key["seeds"] = seeds.tolist()
    shape = (len(moments), len(shifts), len(seeds))
    form = {name: Array(_DTYPES[name], shape) for name in FIGURES}
    form["observations"] = Array("float32", (len(moments), len(seeds), None))
    found = store.load(key, form) if store else None
    if found is None:
        make = functools.partial(_environment, make_env)
        found = play_branches(make, base, shifts, moments, seeds, draw)
        if store:
            store.save(key, found)
    return found


_kept: list[tuple[MakeEnv, int, AutoLossVectorEnv]] = []


def _environment(make_env: MakeEnv, num_envs: int) -> AutoLossVectorEnv:
    """An environment that is to be reset: the one of this size that was made before, or a new one.

    To make one starts runs, whose data may take as long to make as their training.
    """
    for maker, size, envs in _kept:
        if size == num_envs and maker == make_env:
            return envs
    del _kept[: len(_kept) + 1 - _MOST_ENVIRONMENTS]
    _kept.append((make_env, num_envs, make_env(num_envs=num_envs)))
    return _kept[-1][2]
