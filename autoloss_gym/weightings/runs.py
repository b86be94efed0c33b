"""What a rule knows of its runs: begun at the first call, forgotten run by run."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from autoloss_gym.tools import tree
from autoloss_gym.tools.names import shown
from autoloss_gym.weightings.boundary.losses import Names, shape_of

Fresh = Callable[[Tensor], dict[str, Any]]


class Runs:
    """The state of all runs, and what the host knows about it without asking the device.

    Args:
        tensors: a tree of tensors (num_envs, …) with at least `keys`, `calls` and `weights`; before
            the first call at most `keys`.
        names: of the losses, where they come as a dict, in the order of the first call.
        calls: number of calls since all runs were reset; None where some were reset later.
    """

    def __init__(
        self,
        tensors: dict[str, Any] | None = None,
        names: Names | None = None,
        calls: int | None = 0,
    ) -> None:
        self._tensors: dict[str, Any] = tensors or {}
        self._numbers: dict[str, Any] | None = None  # newer than the tensors where there are any
        self.names = names
        self.calls = calls

    @property
    def tensors(self) -> dict[str, Any]:
        """The state."""
        if self._numbers is not None:
            self._tensors = _as_tensors(self._numbers, self._tensors)
            self._numbers = None
        return self._tensors

    @tensors.setter
    def tensors(self, tensors: dict[str, Any]) -> None:
        self._tensors = tensors
        self._numbers = None

    @property
    def begun(self) -> bool:
        """Whether there was a call since all runs were reset."""
        return "weights" in self._tensors

    def numbers(
        self, dtype: torch.dtype, count: int
    ) -> tuple[Tensor | None, dict[str, Any] | None]:
        """The state of one run on the CPU in plain numbers, for so many losses of a dtype.

        It is read-only, and the tensors are what they were.

        Returns:
            A tensor of the dtype, and the state; None where it is something else.
        """
        weights = self._tensors.get("weights")
        if weights is None or weights.dtype != dtype:
            return None, None
        if self._numbers is not None:
            fits = len(self._numbers["weights"]) == count
            return (weights, self._numbers) if fits else (None, None)
        if weights.shape != (1, count) or not weights.is_cpu or weights.is_inference():
            return None, None
        return weights, _as_numbers(self._tensors)

    def due(self, every: int) -> bool:
        """Whether the next call is, for some run, the first of `every` calls."""
        if self.calls is not None:
            return self.calls % every == 0
        return bool((self.tensors["calls"] % every == 0).any())

    def begin(self, values: Tensor, fresh: Fresh) -> tuple[Tensor, dict[str, Any]]:
        """The values (num_envs, n) in the dtype of the state, and the state on their device.

        Nothing is kept of it before `commit`, so a call that is refused leaves no trace.

        Args:
            values: the losses of all runs.
            fresh: gives the state of such runs when they begin, but for `keys` and `calls`.

        Raises:
            ValueError: there were other numbers of runs or losses before.
        """
        if not self.begun:
            values = values.to(torch.promote_types(values.dtype, torch.float32))
            numbers = torch.arange(len(values), dtype=torch.int64, device=values.device)
            keys = self.tensors.get("keys", numbers).to(values.device)
            return values, _begin(keys, fresh(values))
        weights = self.tensors["weights"]
        if weights.shape != values.shape:
            raise ValueError(
                f"losses of shape {shape_of(values)}: expected {shape_of(weights)} as before; "
                "reset() begins anew"
            )
        if weights.device == values.device:
            return values.to(weights.dtype), dict(self.tensors)
        moved = tree.map_tensors(lambda leaf: leaf.to(values.device), self.tensors)
        return values.to(weights.dtype), moved

    def move(self, device: torch.device) -> None:
        """Take the state to a device; the losses of the next call may take it elsewhere."""
        self.tensors = tree.map_tensors(lambda leaf: leaf.to(device), self.tensors)

    def commit(self, tensors: dict[str, Any], names: Names | None) -> None:
        """Keep the state after a call."""
        tensors["calls"].add_(1)
        self.tensors = tensors
        self.names = names or self.names
        if self.calls is not None:
            self.calls += 1

    def commit_numbers(self, numbers: dict[str, Any], names: Names | None) -> None:
        """Keep the state after a call that counted itself."""
        self._numbers = numbers
        self.names = names or self.names
        if self.calls is not None:
            self.calls += 1

    def reset(self, runs: Tensor | None, keys: Tensor | None, fresh: Fresh) -> None:
        """Begin all runs anew, or those of the mask `runs`, with their old keys if none are given.

        Raises:
            ValueError: `runs` is no mask with a truth value for each run, or `keys` are no keys.
        """
        if keys is not None and not _is_row(keys, torch.int64):
            raise ValueError(f"keys={shown(keys)}: expected an int64 tensor (num_envs,)")
        if runs is None:
            self.tensors = {} if keys is None else {"keys": keys.clone()}
            self.names, self.calls = None, 0
            return
        if not _is_row(runs, torch.bool):
            raise ValueError(f"runs={shown(runs)}: expected a bool tensor (num_envs,)")
        if not self.begun:
            return
        weights = self.tensors["weights"]
        if len(runs) != len(weights):
            shape, count = tuple(runs.shape), len(weights)
            raise ValueError(f"runs of shape {shape}: expected ({count},), one for each run")
        keys = self.tensors["keys"] if keys is None else keys.to(weights.device)
        begun = _begin(keys, fresh(weights))
        self.tensors = tree.where(runs.to(weights.device), begun, self.tensors)
        self.calls = None


def _begin(keys: Tensor, fresh: dict[str, Any]) -> dict[str, Any]:
    runs = len(fresh["weights"])
    if len(keys) != runs:
        raise ValueError(f"keys of shape {tuple(keys.shape)}: expected ({runs},), one for each run")
    return {"keys": keys.clone(), "calls": torch.zeros_like(keys)} | fresh


def _as_numbers(tree: Any) -> Any:
    """The tensors (1, …) of a tree in nested lists."""
    if isinstance(tree, dict):
        return {name: _as_numbers(part) for name, part in tree.items()}
    return tree[0].tolist()


def _as_tensors(numbers: Any, like: Any) -> Any:
    """The reverse of `_as_numbers`, with the dtypes of another such tree."""
    if isinstance(like, dict):
        return {name: _as_tensors(numbers[name], part) for name, part in like.items()}
    return torch.tensor([numbers], dtype=like.dtype, device=like.device)


def _is_row(values: Any, dtype: torch.dtype) -> bool:
    return isinstance(values, Tensor) and values.dim() == 1 and values.dtype == dtype
