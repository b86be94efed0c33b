"""CoV-Weighting: more weight for the losses that vary the more, relative to their mean."""

from dataclasses import dataclass
from operator import add, mul, sub, truediv
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.tools.bounds import Share
from autoloss_gym.weightings.measurements import Measurements
from autoloss_gym.weightings.rule import WeightingRule
from autoloss_gym.weightings.single import Numbers, Single

_LARGEST = 1e15  # of a ratio: its square must not overflow
_SMALLEST = 1e-8  # added to a variance, as in the authors' code: losses that stand still have one


@dataclass
class CoVWeighting(WeightingRule):
    """w_k ∝ σ_k / μ_k, mean and standard deviation of the ratio l_k = L_k / mean of L_k before.

    All means and deviations are running ones over the measured values (Welford's algorithm). The
    first ratio of a loss is 1. The weights of a call follow from the values before it, as in the
    authors' code, and are equal until each loss was measured twice before.

    Source: Groenendijk, Karaoglu, Gevers, Mensink: "Multi-loss weighting with coefficient of
    variations", WACV 2021.

    Args:
        decay: share of the past in the running means and variances, below 1 for losses whose
            variation of long ago should be forgotten; in the authors' code only the means then
            forget. 1 (default) gives each value the same share.
        prior, scale, every, reduce: see `WeightingRule`.
    """

    negative_losses: ClassVar[str] = "its ratio to its mean does not tell how much it varies"

    decay: Share = 1.0

    def _start(self, losses: Float[Tensor, "num_envs losses"]) -> dict[str, Any]:
        names = ("mean", "ratio_mean", "ratio_variance")
        zeros = {name: torch.zeros_like(losses) for name in names}
        return zeros | {"seen": torch.zeros_like(losses, dtype=torch.int64)}

    def _weigh(
        self, state: dict[str, Any], measured: Measurements
    ) -> Float[Tensor, "num_envs losses"]:
        deviations = torch.sqrt(state["ratio_variance"] + _SMALLEST)
        weights = deviations / state["ratio_mean"].abs()
        weights = weights / weights.sum(dim=1, keepdim=True)
        known = (state["seen"] >= 2).all(dim=1, keepdim=True)
        self._remember(state, measured)
        return torch.where(known, weights, 1 / weights.shape[1])

    def _remember(self, state: dict[str, Any], measured: Measurements) -> None:
        losses, refreshed = measured.losses, measured.refreshed
        mean, ratio_mean, seen = state["mean"], state["ratio_mean"], state["seen"]
        is_first = seen == 0
        if self.decay == 1:
            share = 1 / (seen + 1).to(losses.dtype)
        else:
            share = torch.where(is_first, torch.ones_like(losses), 1 - self.decay)

        # Where a loss and all before it are 0, it has not changed.
        ratios = torch.nan_to_num(losses / mean, nan=1.0, posinf=_LARGEST, neginf=-_LARGEST)
        ratios = torch.where(is_first, 1.0, ratios.clamp(-_LARGEST, _LARGEST))
        change = ratios - ratio_mean
        new_mean = ratio_mean + share * change
        # Below 0 by rounding alone.
        square = (change * (ratios - new_mean)).clamp(min=0)
        variance = (1 - share) * state["ratio_variance"] + share * square

        state["ratio_variance"] = torch.where(refreshed, variance, state["ratio_variance"])
        state["ratio_mean"] = torch.where(refreshed, new_mean, ratio_mean)
        state["mean"] = torch.where(refreshed, mean + share * (losses - mean), mean)
        state["seen"] = seen + refreshed

    def _weigh_one(self, single: Single) -> Numbers | None:
        state, each, seen = single.state, single.each, single.state["seen"]
        if min(seen) < 2:
            return None
        variances = each(add, state["ratio_variance"], single.number(_SMALLEST))
        deviations = single.tensor(variances).sqrt_().tolist()
        weights = each(truediv, deviations, [abs(mean) for mean in state["ratio_mean"]])
        weights = each(truediv, weights, single.total(weights))

        if self.decay == 1:
            shares = single.rounded([1 / (count + 1) for count in seen])
        else:
            shares = [single.number(1 - self.decay)] * len(seen)
        ratios = each(truediv, single.losses, state["mean"])
        if max(map(abs, ratios)) > _LARGEST:
            return None
        changes = each(sub, ratios, state["ratio_mean"])
        means = each(add, state["ratio_mean"], each(mul, shares, changes))
        squares = [max(square, 0.0) for square in each(mul, changes, each(sub, ratios, means))]
        kept = each(mul, single.rounded([1 - share for share in shares]), state["ratio_variance"])
        state["ratio_variance"] = each(add, kept, each(mul, shares, squares))
        state["ratio_mean"] = means
        steps = each(mul, shares, each(sub, single.losses, state["mean"]))
        state["mean"] = each(add, state["mean"], steps)
        state["seen"] = [count + 1 for count in seen]
        return weights
