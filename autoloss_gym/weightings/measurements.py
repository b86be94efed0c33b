"""Measured losses and gradient norms of a batch of runs."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.weightings.boundary.losses import least_if_finite


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """Losses and gradient norms of a batch of runs, meaningful only where they were `refreshed`.

    Args:
        losses: finite where refreshed.
        refreshed: which losses were measured anew, with their norms where the rule needs them.
        gradient_norms: of each loss, unweighted; finite where refreshed. Meaningless to rules that
            do not need them.
    """

    losses: Float[Tensor, "num_envs losses"]
    refreshed: Bool[Tensor, "num_envs losses"]
    gradient_norms: Float[Tensor, "num_envs losses"]


def finite_ones(
    measured: Measurements,
) -> tuple[Measurements, Bool[Tensor, " num_envs"] | None, float]:
    """The measurements without refreshed values that are not finite, and the runs that had some.

    The runs are None where all values are known to be finite, which on the CPU is one cheap
    question in place of several operations; its by-product is the last of the results, the least
    loss, or NaN where the host does not know it.
    """
    losses, norms = measured.losses, measured.gradient_norms
    least = least_if_finite(losses)
    if not math.isnan(least) and (norms is losses or not math.isnan(least_if_finite(norms))):
        return measured, None, least
    finite = torch.isfinite(losses) & torch.isfinite(norms)
    failed = (measured.refreshed & ~finite).any(dim=1)
    kept = Measurements(losses=losses, refreshed=measured.refreshed & finite, gradient_norms=norms)
    return kept, failed, math.nan
