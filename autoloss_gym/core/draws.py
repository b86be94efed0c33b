"""Random numbers of coming steps, drawn together."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.tools import tree
from autoloss_gym.tools.compiling import is_plain_on_cpu

# Of all runs and steps that are drawn together on the CPU. A few dozen take little longer than one;
# of more, each takes a time of its own.
_ROWS = 64


class DrawsAhead(ABC):
    """Part of a `GradientTask` whose batches are drawn for several steps at once on the CPU."""

    @abstractmethod
    def draws(self, data: Any, keys: Int64[Tensor, " rows"]) -> Any:
        """The random numbers of batches, a tree of tensors (rows, …); row i follows from key i.

        Args:
            data: of the runs, (num_envs, …).
            keys: of steps, those of all runs at one step after another.
        """

    @abstractmethod
    def batch_of(self, data: Any, draws: Any) -> Any:
        """The batch of a step, from what its keys have drawn, (num_envs, …)."""

    def batch(self, data: Any, keys: Int64[Tensor, " num_envs"]) -> Any:
        """The batch that is drawn with these keys, see `GradientTask.batch`."""
        return self.batch_of(data, self.draws(data, keys))


class DrawnAhead:
    """A memory of random numbers, which follow from keys and steps alone.

    Where it is asked for one step after another, it draws for twice as many steps each time; where
    it is not, because runs have begun anew or several states share it, for one step alone.
    """

    def __init__(self) -> None:
        self._keys: list[int] = []
        self._firsts: list[int] = []  # of each run, the first step of the block
        self._num_steps = 0
        self._block: Any = None  # tensors (steps · num_envs, …)

    def __reduce__(self) -> Any:
        return DrawnAhead, ()  # another process has its own

    def of(
        self,
        keys: Int64[Tensor, " num_envs"],
        steps: Int64[Tensor, " num_envs"],
        draw: Callable[[Int64[Tensor, " rows"]], Any],
    ) -> Any:
        """The numbers of each run's step, a tree of tensors (num_envs, …), not to be changed.

        Args:
            keys: of the runs.
            steps: that the runs are at.
            draw: from keys of steps, those of all runs at one step after another, to a tree of
                tensors (rows, …); row i follows from key i alone.
        """
        if len(keys) > _ROWS // 2 or not (is_plain_on_cpu(keys) and is_plain_on_cpu(steps)):
            return draw(random.fold_in(keys, steps))
        offsets = self._offsets(keys.tolist(), steps.tolist())
        if not offsets:
            offsets = [0] * len(keys)
            self._draw(keys, steps, draw)
        count = len(keys)
        if offsets.count(offsets[0]) == count:
            first = offsets[0] * count
            return tree.map_tensors(lambda leaf: leaf[first : first + count], self._block)
        places = [offset * count + run for run, offset in enumerate(offsets)]
        return tree.select(self._block, torch.tensor(places, dtype=torch.int64, device="cpu"))

    def _offsets(self, keys: list[int], steps: list[int]) -> list[int]:
        """Where in the block each run's step is; nothing where some run's is not in it."""
        if keys != self._keys:
            self._num_steps = 0
            return []
        offsets = [step - first for step, first in zip(steps, self._firsts, strict=True)]
        if all(0 <= offset < self._num_steps for offset in offsets):
            return offsets
        if any(offset != self._num_steps for offset in offsets):
            self._num_steps = 0
        return []

    def _draw(self, keys: Tensor, steps: Tensor, draw: Callable[[Tensor], Any]) -> None:
        """A block from these steps on."""
        num_steps = min(max(2 * self._num_steps, 1), _ROWS // len(keys))
        later = steps + torch.arange(num_steps, dtype=torch.int64, device="cpu")[:, None]
        self._block = draw(random.fold_in(keys.repeat(num_steps), later.flatten()))
        self._keys, self._firsts = keys.tolist(), steps.tolist()
        self._num_steps = num_steps
