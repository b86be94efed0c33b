"""Dynamic Weight Average: more weight for the losses that fall relatively slowly."""

from dataclasses import KW_ONLY, dataclass
from operator import truediv
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.tools.bounds import Bounds, PositiveFloat
from autoloss_gym.weightings import memory
from autoloss_gym.weightings.measurements import Measurements
from autoloss_gym.weightings.rule import WeightingRule
from autoloss_gym.weightings.scaling import Scale
from autoloss_gym.weightings.single import Numbers, Single

Window = Annotated[int, Bounds("a whole number from 1 to 10,000", least=1, below=10_001)]


@dataclass
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
        prior, every, reduce: see `WeightingRule`.
    """

    negative_losses: ClassVar[str] = "the ratio of its values does not tell how fast it falls"

    temperature: PositiveFloat = 2.0
    _: KW_ONLY
    window: Window = 1
    scale: Scale = "count"

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

    def _weigh_one(self, single: Single) -> Numbers | None:
        history = memory.remember_one(single)
        if history is None:
            return None
        latest, previous = [], []
        for values in history:
            shares = single.each(truediv, values, float(self.window))
            latest.append(single.total(shares[: self.window]))
            previous.append(single.total(shares[self.window :]))
        ratios = single.each(truediv, latest, previous)
        ratios = single.each(truediv, ratios, single.number(self.temperature))
        return torch.softmax(single.tensor(ratios), dim=0).tolist()
