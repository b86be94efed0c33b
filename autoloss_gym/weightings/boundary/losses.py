"""Losses and gradient norms as users have them, as tensors that keep no graph alive."""

import functools
import math
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Shaped
from torch import Tensor

from autoloss_gym.tools.names import shown
from autoloss_gym.weightings.boundary.arguments import real_number

Values = Tensor | np.ndarray | Iterable[Any] | Mapping[Any, Any]
Names = tuple[str | int, ...]

_FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_WHOLE = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
_DTYPES = frozenset((*_FLOATING, *_WHOLE))


def names_of(losses: Mapping[Any, Any], before: Names | None) -> Names:
    """The names of the losses in the order in which a rule keeps them, that of the first call.

    Raises:
        ValueError: they are other names than `before`, or a name is neither text nor an integer.
    """
    if before is None:
        for name in losses:
            if not isinstance(name, str | int):
                raise ValueError(
                    f"losses with the name {shown(name)}: expected text or an integer, which every "
                    "checkpoint can hold"
                )
        return tuple(losses)
    if losses.keys() != set(before):
        raise ValueError(
            f"losses named {shown(list(losses))}: expected {shown(list(before))} as before; "
            "reset() begins anew"
        )
    return before


def listed(values: Any) -> Any:
    """`values`, and a generator or another iterator as the list of what it yields."""
    return list(values) if isinstance(values, Iterator) else values


def entries_of(values: Any, names: Names | None) -> tuple[list[Any], list[str]]:
    """The losses of one model one by one, as they were given, and what errors call them."""
    entries = list(values) if names is None else [values[name] for name in names]
    return entries, [_entry("losses", names, index) for index in range(len(entries))]


def as_tensor(
    label: str, values: Values, names: Names | None = None
) -> Shaped[Tensor, "*num_envs losses"]:
    """`values` as a tensor (n,) or (num_envs, n) of real numbers, with their graph if there is one.

    Plain numbers take the floating-point dtype and the device of the tensors beside them; tensors
    on the CPU take the device of the others.

    Args:
        label: what the values are, for errors.
        values: a tensor, or anything that yields scalars (or rows of plain numbers) in order.
        names: where the losses are a dict, the order of its names; then `values` must be a dict.

    Raises:
        ValueError: they are something else; the line names the first entry that is.
    """
    if names is not None:
        values = _by_name(label, values, names)
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf" and values.itemsize <= 8:
        values = torch.tensor(values)
    elif not isinstance(values, Tensor):
        values = _stacked(label, values, names)
    else:
        _check_numbers(label, values)
    if values.dim() not in (1, 2) or not values.numel():
        shape = tuple(values.shape)
        raise ValueError(f"{label} of shape {shape}: expected (n,), n scalars, or (num_envs, n)")
    return values


def as_mask(
    label: str, values: Values | None, like: Tensor, names: Names | None = None
) -> Bool[Tensor, "num_envs losses"]:
    """`values` as booleans of the shape and on the device of `like`; all true for None."""
    if values is None:
        return _everything(like.shape, like.device)
    return as_batch(label, values, like, names).to(torch.bool)


def as_batch(
    label: str, values: Values, like: Tensor, names: Names | None = None
) -> Shaped[Tensor, "num_envs losses"]:
    """`values` of the shape and on the device of `like` (num_envs, n)."""
    tensor = as_tensor(label, values, names)
    if tensor.dim() == 1:
        tensor = tensor[None]
    if tensor.shape != like.shape:
        shape, expected = shape_of(tensor), shape_of(like)
        raise ValueError(f"{label} of shape {shape}: expected {expected}, as the losses have it")
    return tensor.to(like.device)


def shape_of(rows: Tensor) -> tuple[int, ...]:
    """The shape in which a user sees these rows: (n,) for one model, or (num_envs, n)."""
    return tuple(rows.shape[1:] if len(rows) == 1 else rows.shape)


def least_if_finite(values: Tensor) -> float:
    """The least value if all are finite and the host can tell without waiting; else NaN."""
    if values.device.type != "cpu":
        return math.nan
    least, greatest = torch.aminmax(values)
    return least.item() if greatest.item() < math.inf and least.item() > -math.inf else math.nan


@functools.lru_cache(maxsize=64)
def _everything(shape: torch.Size, device: torch.device) -> Bool[Tensor, "num_envs losses"]:
    """A mask that is true everywhere; it is shared, so never write into it."""
    return torch.ones(shape, dtype=torch.bool, device=device)


def _by_name(label: str, values: Values, names: Names) -> list[Any]:
    if not isinstance(values, Mapping):
        kind = type(values).__name__
        raise ValueError(f"{label} of type {kind}: expected a dict, as the losses are one")
    if values.keys() != set(names):
        raise ValueError(f"{label} named {shown(list(values))}: expected {shown(list(names))}")
    return [values[name] for name in names]


def _stacked(label: str, values: Any, names: Names | None) -> Tensor:
    """Scalars in order as a tensor (n,), rows of plain numbers as (num_envs, n)."""
    if isinstance(values, str | bytes | Mapping | Set) or not isinstance(values, Iterable):
        raise ValueError(
            f"{label} of type {type(values).__name__}: expected a tensor, or scalars in order, "
            "such as a list; a dict only where the losses are one"
        )
    entries = list(values)
    in_rows = names is None and all(isinstance(entry, list | tuple) for entry in entries)
    if entries and in_rows:
        rows = [_stacked(f"{label}[{index}]", row, None) for index, row in enumerate(entries)]
        if len({row.shape for row in rows}) > 1:
            lengths = [len(row) for row in rows]
            raise ValueError(f"{label} in rows of lengths {shown(lengths)}: expected equal lengths")
        return torch.stack(rows)

    tensors = []
    for index, entry in enumerate(entries):
        if isinstance(entry, Tensor):
            _check_numbers(label, entry, names, index)
            tensors.append(entry)
    if not tensors:
        numbers = [_number(label, names, index, entry) for index, entry in enumerate(entries)]
        return torch.tensor(numbers)
    return torch.stack(_scalars(label, names, entries, tensors))


def _scalars(
    label: str, names: Names | None, entries: list[Any], tensors: list[Tensor]
) -> list[Tensor]:
    """The entries as tensors of no dimensions, on one device."""
    home = next((each for each in tensors if each.device.type != "cpu"), tensors[0]).device
    floating = next((each for each in tensors if each.is_floating_point()), tensors[0])
    scalars = []
    for index, entry in enumerate(entries):
        if not isinstance(entry, Tensor):
            number = _number(label, names, index, entry)
            entry = torch.tensor(number, dtype=torch.result_type(floating, 0.5), device=home)
        if entry.numel() != 1:
            raise ValueError(
                f"{_entry(label, names, index)} of shape {tuple(entry.shape)}: expected scalars; "
                f"for a batch of runs give torch.stack({label}, dim=1)"
            )
        if entry.device != home:
            if entry.device.type != "cpu":
                raise ValueError(
                    f"{_entry(label, names, index)} on {entry.device}: expected {home}, where "
                    "others are; move them to one device"
                )
            entry = entry.to(home)
        scalars.append(entry if entry.dim() == 0 else entry.reshape(()))
    return scalars


def _number(label: str, names: Names | None, index: int, entry: Any) -> float | bool:
    """A plain number, or an array of one, for `torch.tensor`."""
    if isinstance(entry, np.ndarray) and entry.size == 1:
        entry = entry.reshape(()).item()
    if isinstance(entry, bool | np.bool_):
        return bool(entry)
    if isinstance(entry, float):  # one of NumPy keeps its 64 bits
        return entry
    number = real_number(entry)
    if number is None:
        raise ValueError(
            f"{_entry(label, names, index)}={shown(entry)}: expected a scalar tensor or a number; "
            "where a loss was not computed give any number, and refreshed=False"
        )
    return number


def _entry(label: str, names: Names | None, index: int) -> str:
    return f"{label}[{index if names is None else names[index]!r}]"


def _check_numbers(
    label: str, values: Tensor, names: Names | None = None, index: int | None = None
) -> None:
    """ValueError unless the values, or the entry `index` of them, are dense real numbers."""
    if values.dtype not in _DTYPES or values.layout != torch.strided:
        if index is not None:
            label = _entry(label, names, index)
        raise ValueError(
            f"{label} of {values.dtype}, {values.layout}: expected a dense tensor of real numbers "
            "of at least 16 bits"
        )
