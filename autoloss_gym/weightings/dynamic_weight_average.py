"""Dynamic Weight Average: more weight for the losses that fall relatively slowly."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.weightings import memory
from autoloss_gym.weightings.measurements import Measurements
from autoloss_gym.weightings.rule import WeightingRule
from autoloss_gym.weightings.scaling import Scale


@dataclass(kw_only=True)
class DynamicWeightAverage(WeightingRule):
    """w_k = n softmax(r_k / T) with the ratio of successive averages r_k = L_k(t−1) / L_k(t−2).

    In the paper L is the average over an epoch; here it is the average over the last `window`
    measured values, and over the `window` values before them. The weights are equal until every
    loss was measured 2 `window` times, and where an earlier average is 0 or a ratio overflows.

    Source: Liu, Johns, Davison: "End-to-end multi-task learning with attention", CVPR 2019, Eq. 7.

    Args:
        temperature: T; the greater, the more equal the weights.
        window: number of measured values in an average.
        scale: "count" (default) for weights that sum to n.
        prior, every: see `WeightingRule`.
    """

    temperature: float = 2.0
    window: int = 1
    scale: Scale = "count"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature={self.temperature}: expected a positive finite number")
        if self.window < 1:
            raise ValueError(f"window={self.window}: expected at least 1 value")

    def _start(self, losses: Float[Tensor, "num_envs losses"]) -> dict[str, Any]:
        return memory.start(losses, 2 * self.window)

    def _weigh(
        self, state: dict[str, Any], measured: Measurements
    ) -> Float[Tensor, "num_envs losses"]:
        memory.remember(state, measured)
        # Divided before they are summed, because sums of huge losses overflow.
        shares = state["history"] / self.window
        latest = shares[..., : self.window].sum(dim=-1)
        previous = shares[..., self.window :].sum(dim=-1)
        weights = torch.softmax(latest / previous / self.temperature, dim=1)
        known = (state["seen"] == 2 * self.window).all(dim=1, keepdim=True)
        return torch.where(known, weights, 1 / weights.shape[1])
