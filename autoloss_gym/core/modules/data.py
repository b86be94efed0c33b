"""A user's data in three parts: shared by all runs, or drawn for each problem."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from autoloss_gym import random
from autoloss_gym.tools import tree
from autoloss_gym.tools.names import shown, unknown

PARTS = ("train", "validation", "test")
_SHARES = (0.6, 0.8)  # where the validation part begins, and the test part


class ModuleData:
    """Data of the runs.

    Args:
        data: parts by name, a tree of tensors that is split, or a function of a generator that
            returns one of these for each problem.

    Attributes:
        is_shared: whether all runs have the same.
        is_split: whether the parts were made here.
    """

    def __init__(self, data: Any) -> None:
        self._function: Callable[[torch.Generator], Any] | None = None
        self._on: dict[str, dict[str, Any]] = {}
        self.is_shared = not callable(data)
        if callable(data):
            self._function = data
            self.example, self.is_split = _in_parts(self._drawn(0), 0)
        else:
            self.example, self.is_split = _in_parts(data, 0)
            self._on["cpu"] = self.example

    def shared_on(self, device: torch.device) -> dict[str, Any]:
        """The parts that all runs share, without a dimension for them; copied once."""
        name = str(device)
        if name not in self._on:
            self._on[name] = tree.map_tensors(lambda leaf: leaf.to(device), self._on["cpu"])
        return self._on[name]

    def of_problems(self, seeds: list[int], device: torch.device) -> dict[str, Any]:
        """The parts of each problem, (num_envs, …)."""
        drawn: dict[int, dict[str, Any]] = {}
        for seed in seeds:
            if seed not in drawn:
                drawn[seed] = _in_parts(self._drawn(seed), seed)[0]
        rows = [drawn[seed] for seed in seeds]
        try:
            return tree.map_tensors(lambda *each: torch.stack(each).to(device), *rows)
        except (RuntimeError, KeyError, ValueError) as error:
            raise ValueError(
                "data: the function returned other names or shapes for another generator "
                f"({' '.join(str(error).split())}); expected the same for every problem"
            ) from None

    def _drawn(self, seed: int) -> Any:
        assert self._function is not None
        generator = torch.Generator()
        generator.manual_seed(seed)
        return self._function(generator)

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: parts for name, parts in self._on.items() if name == "cpu"}
        return {**vars(self), "_on": kept}


def mini_batch(part: Any, keys: Int64[Tensor, " num_envs"], size: int, is_shared: bool) -> Any:
    """`size` rows of each tensor for every run, drawn with replacement.

    Tensors of the same number of rows are drawn together. Those with no more rows than `size` are
    taken whole.

    Args:
        part: a tree of tensors, (num_envs, rows, …), or (rows, …) where runs share it.
        keys: of this step.
        size: rows of a batch.
        is_shared: whether runs share it.

    Returns:
        A tree of tensors, (num_envs, size, …).
    """
    num_envs = len(keys)
    places: dict[int, Tensor] = {}

    def drawn(leaf: Tensor) -> Tensor:
        rows = _rows(leaf, is_shared)
        if rows is None or rows <= size:
            return leaf.expand(num_envs, *leaf.shape) if is_shared else leaf
        if rows not in places:
            places[rows] = random.integers(random.fold_in(keys, rows), (size,), rows)
        chosen = places[rows]
        if not is_shared:
            starts = torch.arange(num_envs, dtype=torch.int64, device=keys.device) * rows
            chosen = chosen + starts[:, None]
            leaf = leaf.flatten(0, 1)
        return leaf.index_select(0, chosen.flatten()).view(num_envs, size, *leaf.shape[1:])

    return tree.map_tensors(drawn, part)


def _rows(leaf: Tensor, is_shared: bool) -> int | None:
    """Rows of the part that a tensor holds; None for a single number."""
    shape = leaf.shape if is_shared else leaf.shape[1:]
    return shape[0] if shape else None


def _in_parts(data: Any, seed: int) -> tuple[dict[str, Any], bool]:
    """The three parts, and whether they had to be made by a split."""
    if isinstance(data, Mapping) and any(name in PARTS for name in data):
        for name in data:
            if name not in PARTS:
                raise ValueError(f"data: {unknown('part', name, PARTS)}")
        missing = [name for name in PARTS if name not in data]
        if missing:
            raise ValueError(
                f"data has no part {', '.join(map(repr, missing))}; expected all of "
                f"{', '.join(PARTS)}, or one tree of tensors, which is split 60/20/20"
            )
        return {name: _tensors(data[name]) for name in PARTS}, False
    if data is None:
        return {name: {} for name in PARTS}, False
    return _split(_tensors(data), seed), True


def _tensors(data: Any) -> Any:
    """A tree of tensors on the CPU; a data set is read, NumPy's numbers become float32."""
    if isinstance(data, DataLoader):
        raise ValueError(
            f"data={shown(data)}: expected data=loader.dataset with "
            f"batch_size={data.batch_size}: each run draws batches of its own"
        )
    if isinstance(data, Dataset):
        rows: list[Any] = [data[index] for index in range(len(data))]  # type: ignore[arg-type]
        return _tensors(default_collate(rows))
    if isinstance(data, Mapping):
        return {name: _tensors(part) for name, part in data.items()}
    if isinstance(data, tuple | list) and not all(isinstance(x, int | float) for x in data):
        return type(data)(_tensors(part) for part in data)
    if isinstance(data, Tensor):
        return data.detach().cpu()
    array = np.asarray(data)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"data: got {shown(data)}; expected tensors or arrays of numbers")
    return torch.from_numpy(array.astype(np.float32 if array.dtype.kind == "f" else array.dtype))


def _split(data: Any, seed: int) -> dict[str, Any]:
    leaves = tree.leaves(data)
    sizes = {leaf.shape[0] if leaf.dim() else 0 for leaf in leaves}
    if len(sizes) != 1 or min(sizes) < 3:
        raise ValueError(
            f"data of {sorted(sizes)} rows cannot be split; expected one number of rows, at least "
            "3, in all tensors, or parts: {'train': …, 'validation': …, 'test': …}"
        )
    (rows,) = sizes
    key = torch.tensor([seed], dtype=torch.int64, device="cpu")
    order = random.permutation(random.fold_in(key, "split"), rows)[0]
    first = min(max(round(_SHARES[0] * rows), 1), rows - 2)
    second = min(max(round(_SHARES[1] * rows), first + 1), rows - 1)
    chosen = zip(PARTS, (order[:first], order[first:second], order[second:]), strict=True)
    return {name: tree.select(data, places) for name, places in chosen}
