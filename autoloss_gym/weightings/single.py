"""A call of a rule of one model with a few losses on the CPU, in plain numbers.

A rule's formula costs some dozens of operations. On tensors of three numbers each of these takes
microseconds, which a small training step feels; on plain numbers they take hardly any time. Sums,
products and quotients of NumPy's float32 and of Python's floats round as those of tensors do, so
that the bits are the same; roots, exponentials and logarithms are left to PyTorch. Whatever is out
of the ordinary goes the way of tensors, which goes on from the same state.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autoloss_gym.weightings.boundary.losses import Names

MOST = 4  # numbers whose sum PyTorch takes from the first to the last
_KINDS: dict[torch.dtype, Callable[[float], Any]] = {
    torch.float32: np.float32,
    torch.float64: float,
}
_DTYPES = {torch.float32: np.float32, torch.float64: np.float64}

Numbers = list[Any]  # of NumPy's float32, or of Python's floats


@dataclass(slots=True)
class Single:
    """What a rule reckons with.

    Args:
        dtype: of the state.
        losses: finite where the rule reads them.
        norms: of the gradients; None where the call has brought none, or the rule needs none.
        state: as the rule has it, of the one run and in lists; to be written into, but not the
            lists, because the call may still be refused.
    """

    dtype: torch.dtype
    losses: Numbers
    norms: Numbers | None
    state: dict[str, Any]

    @property
    def kind(self) -> Callable[[float], Any]:
        """Rounds a number to the dtype."""
        return _KINDS[self.dtype]

    def tensor(self, numbers: Numbers) -> Tensor:
        """The numbers as a tensor (n,)."""
        return row_of(numbers, self.dtype)

    def numbers(self, row: Tensor) -> Numbers:
        """The reverse of `tensor`."""
        return list(map(_KINDS[self.dtype], row.tolist()))


def weigh(rule: Any, losses: Any, norms: Any, names: Names | None) -> Tensor | None:
    """The weights (n,) of a call, after which the rule has learned from it.

    Args:
        rule: of any kind.
        losses: as the user has them, all of them measured anew.
        norms: likewise, or None.
        names: of the losses, where they are a dict.

    Returns:
        None if the call goes the way of tensors; then nothing has changed.
    """
    found = _read(losses, names)
    if found is None or rule._weigh_one is None or torch.is_inference_mode_enabled():
        return None
    dtype, numbers = found
    state = rule._runs.numbers(dtype, len(numbers))
    if state is None or not _are_usual(rule, numbers):
        return None
    single = Single(dtype, numbers, None, dict(state))
    if norms is not None and rule.needs_gradient_norms:
        read = _read(norms, names)
        if read is None or read[0] != dtype or not all(map(math.isfinite, read[1])):
            return None
        single.norms = read[1]
    try:
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            weights = _weights(rule, single)
    except (ArithmeticError, ValueError):
        return None
    if weights is None:
        return None
    rule._runs.commit_numbers(single.state, names)
    return row_of(weights, dtype)


def row_of(numbers: Numbers, dtype: torch.dtype) -> Tensor:
    """The numbers as a tensor (n,)."""
    return torch.from_numpy(np.array(numbers, dtype=_DTYPES[dtype]))


def total(numbers: Sequence[Any]) -> Any:
    """The sum from the first to the last."""
    result = numbers[0]
    for number in numbers[1:]:
        result = result + number
    return result


def _are_usual(rule: Any, losses: Numbers) -> bool:
    if not rule.reads_losses:
        return True
    least = 0.0 if rule.negative_losses else -math.inf
    return all(least <= loss < math.inf and loss > -math.inf for loss in losses)


def _read(values: Any, names: Names | None) -> tuple[torch.dtype, Numbers] | None:
    """A few tensors of one number each, or one of a few numbers, all of a dtype and on the CPU."""
    if names is not None:
        if not isinstance(values, dict) or values.keys() != set(names):
            return None
        values = [values[name] for name in names]
    if isinstance(values, Tensor):
        if values.dim() != 1 or not 0 < len(values) <= MOST or not _is_readable(values):
            return None
        return values.dtype, list(map(_KINDS[values.dtype], values.tolist()))
    if not isinstance(values, list | tuple) or not 0 < len(values) <= MOST:
        return None
    dtype = None
    numbers = []
    for value in values:
        if isinstance(value, Tensor):
            if (dtype is not None and value.dtype != dtype) or not _is_readable(value):
                return None
            dtype = value.dtype
            value = value.item() if value.dim() == 0 else value.tolist()
        if type(value) is not float:  # several numbers in one tensor, or a number of another kind
            return None
        numbers.append(value)
    if dtype is None:
        dtype = torch.get_default_dtype()  # of plain numbers; beside tensors they take theirs
    kind = _KINDS.get(dtype)
    return None if kind is None else (dtype, list(map(kind, numbers)))


def _is_readable(values: Tensor) -> bool:
    return values.is_cpu and values.dtype in _KINDS and values.layout == torch.strided


def _weights(rule: Any, single: Single) -> Numbers | None:
    """The weights with prior, scale and `every`, also in the state; None where it is not usual."""
    weights = rule._weigh_one(single)
    if weights is None:
        return None
    if rule.prior is not None:
        factors = map(single.kind, rule.prior)
        weights = [weight * factor for weight, factor in zip(weights, factors, strict=True)]
    whole = total(weights)
    if not 0 < whole < math.inf:
        return None
    if rule.scale == "sum":
        weights = [weight / whole for weight in weights]
    elif rule.scale == "count":
        share = whole / len(weights)
        weights = [weight / share for weight in weights]
    state = single.state
    if state["calls"] % rule.every:
        weights = state["weights"]
    state["weights"] = weights
    state["calls"] += 1
    return weights
