"""Training runs under schedules, and clones of running ones whose schedule is shifted.

A schedule is a table of knots at equally spaced moments, whose columns are the logarithms of the
weights of all pairs but the first, relative to it, and of the step size. Between two knots they are
linear.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.controllers.policies.draws import one_hot
from autoloss_gym.core.task import Control
from autoloss_gym.environment.vector_env import AutoLossVectorEnv

from ...environments import MakeEnv

# Final figures of a run that are kept.
FIGURES = ("best_score", "best_validation", "diverged", "instance")


class Batch:
    """Runs of one environment under a schedule each, and the figures of those that have ended.

    Args:
        envs: the environment, in phase.
        knots: schedules, (runs, knots, columns).
        seeds: numbers of the problems, (runs,); they seed the draws of pairs.
        draw: whether a weight is the probability of its pair, one of which is drawn for every
            update, instead of its share in all updates.
    """

    def __init__(
        self, envs: AutoLossVectorEnv, knots: np.ndarray, seeds: np.ndarray, draw: bool
    ) -> None:
        self.envs = envs
        self.knots = knots
        self.seeds = seeds
        self.running = np.ones(envs.num_envs, dtype=bool)
        self.figures = {name: np.zeros(envs.num_envs) for name in FIGURES}
        self.figures["instance"] = np.zeros(envs.num_envs, dtype=np.int64)
        self._keys = random.fold_in(torch.from_numpy(seeds), "headroom")
        self.draw = draw

    def play(self, start: int, stop: int) -> np.ndarray | None:
        """Make the updates from number `start` to number `stop`, or until all runs have ended.

        Returns:
            The last observations, (runs, features); None where nothing was played.
        """
        observations = None
        length = self.envs.task.validate_every  # runs end where a validation is due
        for first in range(start, stop, length):
            if not self.running.any():
                break
            steps = range(first, first + length, self.envs.repeat)
            controls = [self._control(step) for step in steps]
            observations, _, ended, _, infos = self.envs.rollout(controls)
            new = ended & self.running
            if new.any():
                for name, values in self.figures.items():
                    values[new] = infos["final_info"][name][new]
            self.running &= ~ended
        return observations

    def _control(self, step: int) -> Control:
        logs = logs_at(self.knots, step / self.envs.task.max_steps)
        step_size = torch.from_numpy(np.exp(logs[:, -1])).to(torch.float32)
        first = np.zeros((len(logs), 1))
        weights = np.exp(np.concatenate([first, logs[:, :-1]], axis=1))
        if self.draw:
            # Copies of a problem draw the same number: their pairs differ only by their schedules.
            drawn = random.uniform(random.fold_in(self._keys, step)).numpy()
            levels = np.cumsum(weights, axis=1)
            choice = (levels[:, :-1] <= drawn[:, None] * levels[:, -1:]).sum(axis=1)
            return dataclasses.replace(one_hot(choice, weights.shape[1]), step_size=step_size)
        weights *= weights.shape[1] / weights.sum(axis=1, keepdims=True)
        return Control(weights=torch.from_numpy(weights).to(torch.float32), step_size=step_size)


def logs_at(knots: np.ndarray, progress: float) -> np.ndarray:
    """The columns of schedules (…, knots, columns) at a share of the budget, (…, columns)."""
    place = progress * (knots.shape[-2] - 1)
    lower = min(int(place), max(knots.shape[-2] - 2, 0))
    upper = min(lower + 1, knots.shape[-2] - 1)
    share = place - lower
    return knots[..., lower, :] * (1 - share) + knots[..., upper, :] * share


def play_schedules(
    make_env: MakeEnv, knots: np.ndarray, seeds: np.ndarray, draw: bool
) -> dict[str, np.ndarray]:
    """Play every schedule on every problem in one batch.

    Args:
        make_env: (num_envs) → environment; any of this size will do, it is reset.
        knots: (schedules, knots, columns).
        seeds: (problems,), int64.
        draw: see `Batch`.

    Returns:
        The final figures by name, (schedules, problems).
    """
    count = len(knots)
    every_seed = np.tile(seeds, count)
    envs = make_env(num_envs=len(every_seed))
    envs.reset(seed=every_seed.tolist())
    batch = Batch(envs, knots.repeat(len(seeds), axis=0), every_seed, draw)
    batch.play(0, envs.task.max_steps)
    return {name: values.reshape(count, -1) for name, values in batch.figures.items()}


def play_branches(
    make_env: MakeEnv,
    base: np.ndarray,
    shifts: np.ndarray,
    moments: tuple[int, ...],
    seeds: np.ndarray,
    draw: bool,
) -> dict[str, np.ndarray]:
    """Play the base on every problem; at each moment clone its runs, shift them, play to the end.

    Args:
        make_env: (num_envs) → environment; any of this size will do, it is reset.
        base: schedule (knots, columns).
        shifts: what is added to the schedule from the moment of the clone on, (shifts, columns).
        moments: updates before the clones are made, ascending.
        seeds: (problems,), int64.
        draw: see `Batch`.

    Returns:
        "observations" (moments, problems, features) at the clone, and the final figures of the
        clones by name, (moments, shifts, problems). Clones of a run that had ended before have its
        figures.
    """
    envs = make_env(num_envs=len(seeds))
    envs.reset(seed=seeds.tolist())
    trunk = Batch(envs, np.repeat(base[None], len(seeds), axis=0), seeds, draw)
    clones_envs = make_env(num_envs=len(shifts) * len(seeds))
    seen: list[np.ndarray] = []
    parts: list[Batch] = []
    start = 0
    for moment in moments:
        observations = trunk.play(start, moment)
        # Where all runs have ended, nothing is left to decide.
        nothing = np.zeros(envs.observation_space.shape or (), dtype=np.float32)
        seen.append(nothing if observations is None else observations)
        parts.append(_play_clones(trunk, clones_envs, shifts, moment))
        start = moment

    figures = {}
    for name in FIGURES:
        by_moment = [part.figures[name].reshape(len(shifts), -1) for part in parts]
        figures[name] = np.stack(by_moment)
    return {"observations": np.stack(seen), **figures}


def _play_clones(trunk: Batch, envs: AutoLossVectorEnv, shifts: np.ndarray, moment: int) -> Batch:
    """Clones of all runs of the trunk for every shift, played to the end."""
    num_problems = len(trunk.seeds)
    rows = np.tile(np.arange(num_problems), len(shifts))
    envs.load_state_dict(_selected(trunk.envs.state_dict(), rows))
    knots = trunk.knots[rows] + shifts.repeat(num_problems, axis=0)[:, None]
    clones = Batch(envs, knots, trunk.seeds[rows], trunk.draw)
    clones.running = trunk.running[rows].copy()
    clones.figures = {name: values[rows] for name, values in trunk.figures.items()}
    clones.play(moment, envs.task.max_steps)
    return clones


def _selected(state: Mapping[str, Any], rows: np.ndarray) -> dict[str, Any]:
    """A state of an environment with its runs `rows`, of which some may be the same."""
    index = torch.from_numpy(rows)

    def select(leaf: Tensor) -> Tensor:
        return leaf.index_select(0, index.to(leaf.device))

    selected: dict[str, Any] = {}
    for name, value in state.items():
        if isinstance(value, Tensor):
            selected[name] = select(value)
        elif isinstance(value, list):
            selected[name] = [select(leaf) for leaf in value]
        else:
            selected[name] = value
    return selected
