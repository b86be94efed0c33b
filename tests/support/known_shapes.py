"""Operations on the device `meta`, each worked out once for tensors of some shapes and types.

There a result has a shape and no numbers, and PyTorch finds it in slow Python: a millisecond for
what a GPU does in a few microseconds.
"""

import functools
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

Made = tuple[tuple[int, ...], tuple[int, ...], torch.dtype]  # shape, strides and dtype


class KnownShapes:
    """What operations return on `meta`, remembered by what their arguments look like."""

    def __init__(self) -> None:
        self._known: dict[Any, tuple[type | None, list[Made]]] = {}

    def answer(self, function: OpOverload, args: Any, kwargs: Any) -> Any:
        """What the operation returns; errors are those of PyTorch."""
        if not _is_new(function):
            return function(*args, **kwargs)
        key = (function, _described(args), _described(tuple(sorted(kwargs.items()))))
        if key in self._known:
            kind, made = self._known[key]
            tensors = [
                torch.empty_strided(*each[:2], dtype=each[2], device="meta") for each in made
            ]
            return kind(tensors) if kind else tensors[0]
        found = function(*args, **kwargs)
        tensors = [found] if isinstance(found, Tensor) else found
        if all(isinstance(each, Tensor) and each.is_meta for each in tensors):
            made = [(tuple(each.shape), each.stride(), each.dtype) for each in tensors]
            self._known[key] = (None if tensors is not found else type(found), made)
        return found


@functools.cache
def _is_new(function: OpOverload) -> bool:
    """Whether all that it returns is new, and it changes nothing."""
    schema = function._schema
    every = (*schema.arguments, *schema.returns)
    return bool(schema.returns) and all(each.alias_info is None for each in every)


def _described(value: Any) -> Any:
    """What decides about the shape and type of a result; 1, 1.0 and True are different."""
    if isinstance(value, Tensor):
        return value.device.type, value.shape, value.stride(), value.dtype
    if isinstance(value, list | tuple):
        return type(value), tuple(map(_described, value))
    return type(value), value
