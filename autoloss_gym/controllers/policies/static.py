"""Policies that look at nothing: fixed orders, fixed probabilities and fixed loss weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from autoloss_gym.controllers.policies.draws import Draws, one_hot, weigh
from autoloss_gym.core.task import Control


@dataclass
class Ratio:
    """Repeats a fixed order of pairs.

    Args:
        counts: updates of the first pair, then of the second, and so on.
    """

    label: str
    counts: tuple[int, ...]
    static: bool = True
    diagnostics: bool = False
    env_arguments: dict[str, Any] = field(default_factory=dict)

    def reset(self, seeds: np.ndarray) -> None:
        self._order = np.repeat(np.arange(len(self.counts)), self.counts)

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> Control:
        return self._at(infos["steps"])

    def controls(self, first: int, last: int) -> list[Control]:
        """The controls of one run for the updates `first` … `last` − 1."""
        return [self._at(np.array([step])) for step in range(first, last)]

    def _at(self, steps: np.ndarray) -> Control:
        place = steps % len(self._order)
        return one_hot(self._order[place], len(self.counts))


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
        num_pairs = len(self.probabilities)
        weights = np.broadcast_to(np.asarray(self.probabilities), (len(observations), num_pairs))
        return one_hot(self._draws.categorical(weights), num_pairs)

    def state_dict(self) -> dict[str, Any]:
        """The number of draws so far."""
        return {"draws": self._draws.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the state was taken, after a `reset` with the same seeds."""
        self._draws.count = int(state["draws"])


@dataclass
class FixedWeights:
    """Updates with all losses at once, each with a fixed weight: the usual λ."""

    label: str
    weights: tuple[float, ...]
    static: bool = True
    diagnostics: bool = False
    env_arguments: dict[str, Any] = field(default_factory=dict)

    def reset(self, seeds: np.ndarray) -> None:
        rows = [self.weights] * len(seeds)
        self._control = weigh(torch.tensor(rows, dtype=torch.float32, device="cpu"))

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> Control:
        return self._control

    def controls(self, first: int, last: int) -> list[Control]:
        """The controls of one run for the updates `first` … `last` − 1."""
        return [self._control] * (last - first)
