"""Trees of batched tensors: dicts, tuples and dataclasses whose first dimension is the run."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

Tree = TypeVar("Tree")
Parameters = Mapping[str, Any]  # named blocks, each a tensor or a tree of tensors


def map_tensors(function: Callable[..., Tensor], tree: Any, *others: Any) -> Any:
    """Apply `function` to the tensors at the same place of all trees.

    Whatever is not a tensor is taken from the first tree.
    """
    if isinstance(tree, Tensor):
        return function(tree, *others)
    if isinstance(tree, dict):
        mapped = {}
        for name, part in tree.items():
            mapped[name] = map_tensors(function, part, *(other[name] for other in others))
        return mapped
    if isinstance(tree, tuple | list):
        return type(tree)(
            map_tensors(function, *parts) for parts in zip(tree, *others, strict=True)
        )
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        mapped = {}
        for field in dataclasses.fields(tree):
            parts = (getattr(each, field.name) for each in (tree, *others))
            mapped[field.name] = map_tensors(function, *parts)
        return type(tree)(**mapped)
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
    """`tree` with the runs `rows` replaced by those of `part`, in order.

    Writes into the tensors of `tree`.
    """
    return map_tensors(lambda leaf, new: leaf.index_copy_(0, rows, new), tree, part)


def where(mask: Tensor, new: Tree, old: Tree) -> Tree:
    """`new` for the runs of the boolean `mask` (num_envs,), `old` for the others.

    The host does not wait for the device.
    """

    def choose(new_leaf: Tensor, old_leaf: Tensor) -> Tensor:
        broadcast = mask.view(-1, *[1] * (new_leaf.dim() - 1))
        return torch.where(broadcast, new_leaf, old_leaf)

    return map_tensors(choose, new, old)


def clone(tree: Tree) -> Tree:
    """A copy that shares no memory; gradients flow through it."""
    return map_tensors(torch.clone, tree)
