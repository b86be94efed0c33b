"""A call of a rule of one model with a few losses on the CPU, in plain numbers.

A rule's formula costs some dozens of operations. On tensors of three numbers each of these takes
microseconds, which a small training step feels; on plain numbers they take hardly any time. A sum,
product or quotient of two float32 that Python rounds to float64, and then this to float32, is what
a tensor of float32 has, bit for bit; roots, exponentials and logarithms are left to PyTorch.
Whatever is out of the ordinary goes the way of tensors, which goes on from the same state.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import mul, truediv
from struct import Struct
from typing import Any

import torch
from torch import Tensor

from autoloss_gym.weightings.boundary.losses import Names

MOST = 4  # numbers whose sum PyTorch takes from the first to the last
_DTYPES = (torch.float32, torch.float64)
_FLOATS = [Struct(f"{count}f") for count in range(2 * MOST + 1)]
_FLOAT = _FLOATS[1]

Numbers = list[float]


@dataclass(slots=True)
class Single:
    """What a rule reckons with.

    Every operation is rounded for itself, as a tensor of the dtype would be. What does not fit
    into float32 is an OverflowError, and what is divided by 0 a ZeroDivisionError; both send the
    call the way of tensors.

    Args:
        like: a tensor of the dtype of the state.
        is_double: whether that is float64.
        losses: finite where the rule reads them.
        norms: of the gradients; None where the call has brought none, or the rule needs none.
        state: as the rule has it, of the one run and in lists; to be written into, but not the
            lists, because the call may still be refused.
    """

    like: Tensor
    is_double: bool
    losses: Numbers
    norms: Numbers | None
    state: dict[str, Any]

    def rounded(self, numbers: Iterable[float]) -> Numbers:
        """At most 2 MOST numbers in the dtype."""
        given = list(numbers)
        if self.is_double:
            return given
        floats = _FLOATS[len(given)]
        return list(floats.unpack(floats.pack(*given)))

    def number(self, number: float) -> float:
        """One number in the dtype."""
        return number if self.is_double else _FLOAT.unpack(_FLOAT.pack(number))[0]

    def each(
        self,
        operation: Callable[[float, float], float],
        first: Sequence[float],
        second: Sequence[float] | float,
    ) -> Numbers:
        """The operation of one pair of numbers after the other, or of each with one number."""
        others = [second] * len(first) if isinstance(second, float) else second
        return self.rounded(map(operation, first, others))

    def total(self, numbers: Sequence[float]) -> float:
        """The sum from the first to the last."""
        result = numbers[0]
        for number in numbers[1:]:
            result = self.number(result + number)
        return result

    def tensor(self, numbers: Numbers) -> Tensor:
        """The numbers as a tensor (n,)."""
        return self.like.new_tensor(numbers)


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
    if rule._weigh_one is None or torch.is_inference_mode_enabled():
        return None
    found = _read(losses, names)
    if found is None or not _are_usual(rule, found[1]):
        return None
    dtype, numbers = found
    like, state = rule._runs.numbers(dtype, len(numbers))
    if state is None:
        return None
    single = Single(like, dtype == torch.float64, numbers, None, dict(state))
    if norms is not None and rule.needs_gradient_norms:
        read = _read(norms, names)
        if read is None or read[0] != dtype or not all(map(math.isfinite, read[1])):
            return None
        single.norms = read[1]
    try:
        weights = _weights(rule, single)
    except (ArithmeticError, ValueError):
        return None
    if weights is None:
        return None
    rule._runs.commit_numbers(single.state, names)
    return single.tensor(weights)


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
        return values.dtype, values.tolist()
    if not isinstance(values, list | tuple) or not 0 < len(values) <= MOST:
        return None
    dtype = None
    numbers = []
    for value in values:
        if not isinstance(value, Tensor) or not _is_readable(value):
            return None
        if dtype is not None and value.dtype != dtype:
            return None
        dtype = value.dtype
        value = value.item() if value.numel() == 1 else None
        if not isinstance(value, float):  # several numbers in one tensor
            return None
        numbers.append(value)
    if dtype is None:  # plain numbers, which may have more digits than a dtype
        return None
    return dtype, numbers


def _is_readable(values: Tensor) -> bool:
    return values.is_cpu and values.dtype in _DTYPES and values.layout == torch.strided


def _weights(rule: Any, single: Single) -> Numbers | None:
    """The weights with prior, scale and `every`, also in the state; None where it is not usual."""
    weights = rule._weigh_one(single)
    if weights is None:
        return None
    if rule.prior is not None:
        weights = single.each(mul, weights, single.rounded(rule.prior))
    whole = single.total(weights)
    if not 0 < whole < math.inf:
        return None
    if rule.scale == "sum":
        weights = single.each(truediv, weights, whole)
    elif rule.scale == "count":
        share = single.number(whole / len(weights))
        weights = single.each(truediv, weights, share)
    state = single.state
    if state["calls"] % rule.every:
        weights = state["weights"]
    state["weights"] = weights
    state["calls"] += 1
    return weights
