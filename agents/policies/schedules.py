"""Schedules that look at nothing: fixed orders, fixed probabilities and fixed loss weights."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from autoloss_gym import random
from autoloss_gym.core.task import Control


@dataclass
class Ratio:
    """Repeats a fixed order of pairs: `counts[0]` updates of the first pair, then `counts[1]` of
    the second, and so on.
    """

    label: str
    counts: tuple[int, ...]
    static: bool = True
    diagnostics: bool = False
    env_arguments: dict[str, Any] = field(default_factory=dict)

    def reset(self, seeds: np.ndarray) -> None:
        self._order = np.repeat(np.arange(len(self.counts)), self.counts)

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> Control:
        return one_hot(self._order[infos["steps"] % len(self._order)], len(self.counts))


@dataclass
class RandomPair:
    """Draws the pair of every step independently with fixed `probabilities`."""

    label: str
    probabilities: tuple[float, ...]
    static: bool = True
    diagnostics: bool = False
    env_arguments: dict[str, Any] = field(default_factory=dict)

    def reset(self, seeds: np.ndarray) -> None:
        self._draws = Draws(seeds, "random pair")

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> Control:
        weights = np.broadcast_to(
            np.asarray(self.probabilities), (len(observations), len(self.probabilities))
        )
        return one_hot(self._draws.categorical(weights), len(self.probabilities))


@dataclass
class FixedWeights:
    """Updates with all losses at once, each with a fixed weight: the usual λ."""

    label: str
    weights: tuple[float, ...]
    static: bool = True
    diagnostics: bool = False
    env_arguments: dict[str, Any] = field(default_factory=dict)

    def reset(self, seeds: np.ndarray) -> None:
        self._control = weigh(torch.tensor([self.weights] * len(seeds), dtype=torch.float32))

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> Control:
        return self._control


class Draws:
    """Random choices of many runs, each a function of the run's seed and the number of draws
    before.
    """

    def __init__(self, seeds: np.ndarray, stream: str) -> None:
        self._keys = random.fold_in(torch.from_numpy(np.asarray(seeds, dtype=np.int64)), stream)
        self._count = 0

    def categorical(self, weights: np.ndarray) -> np.ndarray:
        """An index for each row of nonnegative `weights` (num_envs, choices), with probability ∝
        weight.
        """
        self._count += 1
        uniform = random.uniform(random.fold_in(self._keys, self._count), ()).numpy()
        levels = np.cumsum(weights, axis=1)
        return np.minimum(
            (levels <= uniform[:, None] * levels[:, -1:]).sum(axis=1), weights.shape[1] - 1
        )

    def normal(self, size: int) -> np.ndarray:
        """Normal draws with mean 0 and deviation 1, (num_envs, size), float32."""
        self._count += 1
        return random.normal(random.fold_in(self._keys, self._count), (size,)).numpy()


def one_hot(choice: np.ndarray, num_pairs: int) -> Control:
    """The control that updates the chosen pair of each run."""
    weights = torch.from_numpy((choice[:, None] == np.arange(num_pairs)).astype(np.float32))
    return Control(weights=weights, step_size=torch.ones(len(choice)), choice=choice)


def weigh(weights: torch.Tensor) -> Control:
    """The control that uses all pairs with these weights (num_envs, pairs)."""
    return Control(weights=weights, step_size=torch.ones(len(weights)))
