"""Blocks of parameters: packed into one row a run, or viewed in the shapes of their author."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor, cat


def pack(block: Any) -> Tensor:
    """One tensor (num_envs, size) of a block, which is a tensor (num_envs, …) or a dict of them."""
    leaves = list(block.values()) if isinstance(block, dict) else [block]
    rows = [leaf.reshape(len(leaf), -1) for leaf in leaves]
    return rows[0] if len(rows) == 1 else cat(rows, dim=1)


def view(packed: Tensor, shapes: Any) -> Any:
    """Views of a packed block (num_envs, size) in its author's shapes.

    Args:
        packed: what `pack` made.
        shapes: of a run, without the leading dimension; a dict of shapes where the block is a dict.
    """
    if not isinstance(shapes, dict):
        return packed.view(-1, *shapes)
    parts = packed.split(sizes(shapes), dim=1)
    named = zip(shapes.items(), parts, strict=True)
    return {name: part.reshape(-1, *shape) for (name, shape), part in named}


def sizes(shapes: Any) -> tuple[int, ...]:
    """Numbers of each tensor of a block of one run, in order."""
    each = shapes.values() if isinstance(shapes, dict) else [shapes]
    return tuple(math.prod(shape) for shape in each)


class OnDemand(Mapping[str, Any]):
    """Blocks that are made when they are first asked for.

    Args:
        names: of the blocks.
        make: from a name to the block.
    """

    def __init__(self, names: Iterable[str], make: Callable[[str], Any]) -> None:
        self._names = tuple(names)
        self._make = make
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            if name not in self._names:
                raise KeyError(name)
            self._made[name] = self._make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
