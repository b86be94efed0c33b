"""Select, merge and copy over trees of batched tensors (dicts, tuples and dataclasses; the first
dimension is the run).
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

Tree = TypeVar("Tree")
Parameters = Mapping[str, Any]  # blocks by name, as the author of a task shapes them


def map_tensors(function: Callable[..., Tensor], tree: Any, *others: Any) -> Any:
    """Apply `function` to the tensors at the same place of all trees; what is not a tensor is taken
    from the first.
    """
    if isinstance(tree, Tensor):
        return function(tree, *others)
    if isinstance(tree, dict):
        return {
            name: map_tensors(function, leaf, *(other[name] for other in others))
            for name, leaf in tree.items()
        }
    if isinstance(tree, tuple | list):
        return type(tree)(
            map_tensors(function, *leaves) for leaves in zip(tree, *others, strict=True)
        )
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        names = [field.name for field in dataclasses.fields(tree)]
        parts = {
            n: map_tensors(function, getattr(tree, n), *(getattr(other, n) for other in others))
            for n in names
        }
        return type(tree)(**parts)
    return tree


def leaves(tree: Any) -> list[Tensor]:
    """The tensors of a tree, in order."""
    found: list[Tensor] = []

    def collect(leaf: Tensor) -> Tensor:
        found.append(leaf)
        return leaf

    map_tensors(collect, tree)
    return found


def select(tree: Tree, rows: Tensor) -> Tree:
    """The runs `rows` (integer indices) of every tensor, copied."""
    return map_tensors(lambda leaf: leaf.index_select(0, rows), tree)


def merge(tree: Tree, rows: Tensor, part: Tree) -> Tree:
    """`tree` with the runs `rows` replaced by those of `part`, in order; writes into the tensors of
    `tree`.
    """
    return map_tensors(lambda leaf, new: leaf.index_copy_(0, rows, new), tree, part)


def where(mask: Tensor, new: Tree, old: Tree) -> Tree:
    """`new` for the runs of the boolean `mask` (num_envs,), `old` for the others; needs no host
    synchronisation.
    """
    return map_tensors(
        lambda a, b: torch.where(mask.view(-1, *[1] * (a.dim() - 1)), a, b), new, old
    )


def clone(tree: Tree) -> Tree:
    """A copy that shares no memory; gradients flow through it."""
    return map_tensors(torch.clone, tree)
