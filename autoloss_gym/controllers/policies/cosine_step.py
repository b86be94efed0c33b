"""A step size that falls to 0 along half a cosine, with all losses as they are."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from autoloss_gym.core.task import Control


@dataclass
class CosineStep:
    """Multiplies the learning rate by F · (1 + cos(π t/T)) / 2 before update t + 1 of T.

    Every pair has weight 1 at every step. Loshchilov, Hutter: "SGDR: Stochastic gradient descent
    with warm restarts", ICLR 2017, without restarts.

    Args:
        label: its name in tables.
        factor: F, on the learning rate at the start.
        num_pairs: of the task.
        max_steps: T, the length of a training run.
    """

    label: str
    factor: float
    num_pairs: int
    max_steps: int
    static: bool = True
    diagnostics: bool = False
    env_arguments: dict[str, Any] = field(default_factory=dict)

    def reset(self, seeds: np.ndarray) -> None:
        turn = math.pi / self.max_steps
        values = [self.factor * (1 + math.cos(turn * step)) / 2 for step in range(self.max_steps)]
        self._step_sizes = torch.tensor(values, dtype=torch.float32, device="cpu")

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> Control:
        return self._at(np.asarray(infos["steps"], dtype=np.int64))

    def controls(self, first: int, last: int) -> list[Control]:
        """The controls of one run for the updates `first` … `last` − 1; after its end, the last."""
        return [self._at(np.array([step])) for step in range(first, last)]

    def _at(self, steps: np.ndarray) -> Control:
        step_sizes = self._step_sizes[torch.from_numpy(np.minimum(steps, self.max_steps - 1))]
        weights = torch.ones(len(steps), self.num_pairs, dtype=torch.float32, device="cpu")
        return Control(weights=weights, step_size=step_sizes)
