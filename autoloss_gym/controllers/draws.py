"""Random choices of many runs, and choices and weights as controls."""

import numpy as np
import torch

from autoloss_gym import random
from autoloss_gym.core.task import Control


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

    def categorical(self, weights: np.ndarray) -> np.ndarray:
        """An index for each row of `weights`, drawn with probabilities ∝ the weights.

        Args:
            weights: (num_envs, choices), nonnegative.

        Returns:
            (num_envs,), integers.
        """
        uniform = random.uniform(self._next_keys(), ()).numpy()
        levels = np.cumsum(weights, axis=1)
        # With ≤ even a draw of 0 passes a choice of weight 0.
        passed = levels <= uniform[:, None] * levels[:, -1:]
        last = weights.shape[1] - 1
        return np.minimum(passed.sum(axis=1), last)

    def normal(self, size: int) -> np.ndarray:
        """Draws with mean 0 and deviation 1, (num_envs, size), float32."""
        return random.normal(self._next_keys(), (size,)).numpy()

    def _next_keys(self) -> torch.Tensor:
        self.count += 1
        return random.fold_in(self._keys, self.count)


def one_hot(choice: np.ndarray, num_pairs: int) -> Control:
    """The control that updates the chosen pair of each run.

    Args:
        choice: (num_envs,), integers.
        num_pairs: number of pairs of the task.
    """
    chosen = choice[:, None] == np.arange(num_pairs)
    weights = torch.from_numpy(chosen.astype(np.float32))
    return Control(weights=weights, step_size=torch.ones(len(choice)), choice=choice)


def weigh(weights: torch.Tensor) -> Control:
    """The control that uses all pairs with these weights (num_envs, pairs)."""
    return Control(weights=weights, step_size=torch.ones(len(weights)))
