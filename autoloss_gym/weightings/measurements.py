"""Measured losses and gradient norms, as batched tensors that keep no graph alive."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

Values = Tensor | Sequence[Tensor | float | int]


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """Losses and gradient norms of a batch of runs, meaningful only where they were `refreshed`.

    Args:
        losses: finite where refreshed.
        refreshed: which losses were measured anew.
        gradient_norms: of each loss, unweighted; finite where refreshed. Meaningless to rules that
            do not need them.
    """

    losses: Float[Tensor, "num_envs losses"]
    refreshed: Bool[Tensor, "num_envs losses"]
    gradient_norms: Float[Tensor, "num_envs losses"]


def as_tensor(name: str, values: Values) -> Shaped[Tensor, "*num_envs losses"]:
    """`values` as a tensor (n,) or (num_envs, n) without a graph.

    Plain numbers take dtype and device of the tensors beside them.
    """
    if not isinstance(values, Tensor):
        values = _stack(name, values)
    if values.dim() not in (1, 2) or not values.numel():
        shape = tuple(values.shape)
        raise ValueError(f"{name} of shape {shape}: expected (n,), n scalars, or (num_envs, n)")
    return values.detach()


def as_mask(name: str, values: Values | None, like: Tensor) -> Bool[Tensor, "num_envs losses"]:
    """`values` as booleans of the shape and on the device of `like`; all true for None."""
    if values is None:
        return _everything(like.shape, like.device)
    return as_batch(name, values, like).to(torch.bool)


def as_batch(name: str, values: Values, like: Tensor) -> Shaped[Tensor, "num_envs losses"]:
    """`values` of the shape and on the device of `like` (num_envs, n)."""
    tensor = as_tensor(name, values)
    if tensor.dim() == 1:
        tensor = tensor[None]
    if tensor.shape != like.shape:
        shape, expected = tuple(tensor.shape), tuple(like.shape)
        raise ValueError(f"{name} of shape {shape}: expected {expected}, one for each loss")
    return tensor.to(like.device)


def known_to_be_finite(values: Tensor) -> bool:
    """True if all values are finite and the host can tell in one operation, without waiting."""
    return values.device.type == "cpu" and math.isfinite(values.sum().item())


@functools.lru_cache(maxsize=64)
def _everything(shape: torch.Size, device: torch.device) -> Bool[Tensor, "num_envs losses"]:
    """A mask that is true everywhere; it is shared, so never write into it."""
    return torch.ones(shape, dtype=torch.bool, device=device)


def _stack(name: str, values: Sequence[Tensor | float | int]) -> Tensor:
    first = next((value for value in values if isinstance(value, Tensor)), None)
    if first is None:
        return torch.tensor(list(values))
    scalars = []
    for index, value in enumerate(values):
        if not isinstance(value, Tensor):
            value = torch.as_tensor(value, dtype=first.dtype, device=first.device)
        if value.numel() != 1:
            raise ValueError(
                f"{name}[{index}] of shape {tuple(value.shape)}: expected scalars; "
                f"for a batch of runs give torch.stack({name}, dim=1)"
            )
        scalars.append(value if value.dim() == 0 else value.reshape(()))
    with torch.no_grad():
        return torch.stack(scalars)
