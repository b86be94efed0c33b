"""Dynamic Weight Average: more weight for the losses that fall relatively slowly."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.weightings import memory
from autoloss_gym.weightings.measurements import Measurements
from autoloss_gym.weightings.rule import Scale, WeightingRule


@dataclass(kw_only=True)
class DynamicWeightAverage(WeightingRule):
    """w_k = n softmax(r_k / T), r_k = L_k(t−1) / L_k(t−2) (Liu, Johns, Davison: "End-to-end
    multi-task learning with attention", CVPR 2019, Eq. 7).

    The weights are equal until every loss was measured 2 `window` times: in the first two steps of
    the paper. There L is the average over an epoch; here it is that over `window` measured values,
    and the `window` before. Where an earlier average is 0, or a ratio cannot be represented, the
    weights are equal.

    Args:
        temperature: T; the greater, the more equal the weights.
        window: measured values in an average.
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
        shares = (
            state["history"] / self.window
        )  # before they are summed: sums of huge losses could not be represented
        latest, previous = (
            shares[..., : self.window].sum(dim=-1),
            shares[..., self.window :].sum(dim=-1),
        )
        weights = torch.softmax(latest / previous / self.temperature, dim=1)
        known = (state["seen"] == 2 * self.window).all(dim=1, keepdim=True)
        return torch.where(known, weights, 1 / weights.shape[1])
