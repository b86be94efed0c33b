"""Random choices of many runs, and choices and weights as controls."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.task import Control

_AT_ONCE = 64  # numbers that are drawn together
_NONE = np.zeros(0, dtype=np.float32)


class Draws:
    """Random choices, each a function of the run's seed and of the number of draws before it.

    Args:
        seeds: (num_envs,), one a run.
        stream: name that keeps these choices apart from others with the same seeds.

    Attributes:
        count: draws so far.
    """

    def __init__(self, seeds: np.ndarray, stream: str) -> None:
        self._keys = random.fold_in(torch.from_numpy(np.asarray(seeds, dtype=np.int64)), stream)
        self.count = 0
        # Values of draws to come: number of the first, and one row for each. A single run asks for
        # one number at a time, which costs as much as many.
        self._ahead: dict[str, tuple[int, np.ndarray]] = {}

    def categorical(self, weights: np.ndarray) -> np.ndarray:
        """An index for each row of `weights`, drawn with probabilities ∝ the weights.

        Args:
            weights: (num_envs, choices), nonnegative.

        Returns:
            (num_envs,), integers.
        """
        uniform = self._next("uniform", random.uniform)
        levels = np.cumsum(weights, axis=1)
        # With ≤ even a draw of 0 passes a choice of weight 0.
        passed = levels <= uniform[:, None] * levels[:, -1:]
        last = weights.shape[1] - 1
        return np.minimum(passed.sum(axis=1), last)

    def normal(self, size: int) -> np.ndarray:
        """Draws with mean 0 and deviation 1, (num_envs, size), float32."""
        return self._next(f"normal {size}", lambda keys: random.normal(keys, (size,)))

    def _next(self, kind: str, draw: Callable[[Tensor], Tensor]) -> np.ndarray:
        """The next values of all runs, (num_envs, …)."""
        self.count += 1
        first, values = self._ahead.get(kind, (0, _NONE))
        if not first <= self.count < first + len(values):
            first, values = self.count, self._drawn(draw)
            self._ahead[kind] = first, values
        return values[self.count - first]

    def _drawn(self, draw: Callable[[Tensor], Tensor]) -> np.ndarray:
        """Values of the draws from `count` on, (draws, num_envs, …)."""
        num_envs = len(self._keys)
        length = max(1, _AT_ONCE // num_envs)
        numbers = torch.arange(self.count, self.count + length, dtype=torch.int64, device="cpu")
        keys = random.fold_in(self._keys.repeat(length), numbers.repeat_interleave(num_envs))
        values = draw(keys)
        return values.view(length, num_envs, *values.shape[1:]).numpy()


def one_hot(choice: np.ndarray, num_pairs: int) -> Control:
    """The control that updates the chosen pair of each run.

    Args:
        choice: (num_envs,), integers.
        num_pairs: number of pairs of the task.
    """
    chosen = choice[:, None] == np.arange(num_pairs)
    weights = torch.from_numpy(chosen.astype(np.float32))
    return Control(
        weights=weights,
        step_size=torch.ones(len(choice), dtype=torch.float32, device="cpu"),
        choice=choice,
    )


def weigh(weights: torch.Tensor) -> Control:
    """The control that uses all pairs with these weights (num_envs, pairs)."""
    return Control(
        weights=weights, step_size=torch.ones(len(weights), dtype=torch.float32, device="cpu")
    )
