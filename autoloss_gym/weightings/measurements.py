"""What a weighting rule is told, as batched tensors that keep no graph alive."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

Values = Tensor | Sequence[Tensor | float | int]


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """Losses and gradient norms of a batch of runs; where nothing was `refreshed` the numbers mean
    nothing.

    Args:
        losses: finite where refreshed.
        refreshed: which losses were measured anew.
        gradient_norms: of each loss, unweighted; finite where refreshed. They mean nothing to rules
            that do not need them.
    """

    losses: Float[Tensor, "num_envs losses"]
    refreshed: Bool[Tensor, "num_envs losses"]
    gradient_norms: Float[Tensor, "num_envs losses"]


def as_tensor(name: str, values: Values) -> Shaped[Tensor, "*num_envs losses"]:
    """`values` as a tensor (n,) or (num_envs, n) without a graph; plain numbers follow the tensors
    beside them.
    """
    if not isinstance(values, Tensor):
        values = _stack(name, values)
    if values.dim() not in (1, 2) or not values.numel():
        raise ValueError(
            f"{name} of shape {tuple(values.shape)}: expected (n,), n scalars, or (num_envs, n)"
        )
    return values.detach()


def as_mask(name: str, values: Values, like: Tensor) -> Bool[Tensor, "num_envs losses"]:
    """`values` as booleans with the batch, the shape and the device of `like` (num_envs, n)."""
    return as_batch(name, values, like).to(torch.bool)


def as_batch(name: str, values: Values, like: Tensor) -> Shaped[Tensor, "num_envs losses"]:
    """`values` with the batch, the shape and the device of `like` (num_envs, n)."""
    tensor = as_tensor(name, values)
    tensor = tensor if tensor.dim() == 2 else tensor[None]
    if tensor.shape != like.shape:
        raise ValueError(
            f"{name} of shape {tuple(tensor.shape)}: expected {tuple(like.shape)}, one for each loss"
        )
    return tensor.to(like.device)


def _stack(name: str, values: Sequence[Tensor | float | int]) -> Tensor:
    first = next((value for value in values if isinstance(value, Tensor)), None)
    if first is None:
        return torch.tensor(list(values))
    scalars = [
        v if isinstance(v, Tensor) else torch.as_tensor(v, dtype=first.dtype, device=first.device)
        for v in values
    ]
    for index, value in enumerate(scalars):
        if value.numel() != 1:
            shape, stacked = tuple(value.shape), f"torch.stack({name}, dim=1)"
            raise ValueError(
                f"{name}[{index}] of shape {shape}: expected scalars; for a batch of runs give {stacked}"
            )
    with torch.no_grad():
        return torch.stack(
            [scalar if scalar.dim() == 0 else scalar.reshape(()) for scalar in scalars]
        )
