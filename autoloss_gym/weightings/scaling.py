"""What a rule's raw weights are multiplied by: the prior, and a factor that sets their sum."""

import functools
import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.weightings.boundary.notices import Notices

Scale = Literal["sum", "count", None]


@functools.lru_cache(maxsize=64)
def row(
    numbers: tuple[float, ...], device: torch.device, dtype: torch.dtype
) -> Float[Tensor, "1 losses"]:
    """The numbers as a tensor that broadcasts over runs; it is shared, so never write into it."""
    return torch.tensor([numbers], device=device, dtype=dtype)


def scaled(
    weights: Float[Tensor, "num_envs losses"],
    failed: Bool[Tensor, " num_envs"] | None,
    prior: Sequence[float] | None,
    scale: Scale,
) -> Float[Tensor, "num_envs losses"]:
    """The weights times the prior, with the sum that `scale` asks for.

    A run that failed gets the default weights, and so does one whose weights sum to 0, overflow or
    are NaN.
    """
    if prior is not None:
        weights = weights * row(tuple(prior), weights.device, weights.dtype)
    total = weights.sum(dim=1, keepdim=True)
    if scale == "sum":
        weights = weights / total
    elif scale == "count":
        weights = weights / (total / weights.shape[1])

    # The usual case on the CPU: nothing to repair, so the operations below are saved.
    if failed is None and _known_to_be_positive(total):
        return weights
    sound = (total > 0) & (total < math.inf)
    if failed is not None:
        sound = sound & ~failed[:, None]
    return torch.where(sound, weights, default_weights(weights, prior, scale))


def default_weights(
    like: Float[Tensor, "num_envs losses"], prior: Sequence[float] | None, scale: Scale
) -> Float[Tensor, "1 losses"]:
    """Weights of a run about which nothing is known: the prior, or equal weights."""
    count = like.shape[1]
    numbers = (1 / count,) * count if prior is None else tuple(prior)
    given_total = math.fsum(numbers)
    totals = {"sum": 1.0, "count": float(count), None: given_total}
    factor = totals[scale] / given_total
    return row(tuple(number * factor for number in numbers), like.device, like.dtype)


def representable(
    weights: Float[Tensor, "num_envs losses"], dtype: torch.dtype, notices: Notices
) -> Float[Tensor, "num_envs losses"]:
    """A copy of the weights in the dtype of the losses, at most its greatest number."""
    greatest = torch.finfo(dtype).max
    if greatest < torch.finfo(weights.dtype).max:
        excess = (weights > greatest).any()
        notices.note(f"weights above {greatest:g}, the greatest {dtype}, are cut to it", excess)
        weights = weights.clamp(max=greatest)
    return weights.to(dtype, copy=True)


def _known_to_be_positive(values: Tensor) -> bool:
    """True if all values are positive and finite and the host can tell without waiting."""
    if values.device.type != "cpu":
        return False
    least, greatest = torch.aminmax(values)
    return least.item() > 0 and greatest.item() < math.inf
