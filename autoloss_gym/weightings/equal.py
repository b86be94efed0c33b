"""Equal weights, the baseline of every other rule."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.weightings.measurements import Measurements
from autoloss_gym.weightings.rule import WeightingRule
from autoloss_gym.weightings.single import Numbers, Single


@dataclass(kw_only=True)
class Equal(WeightingRule):
    """The same weight for every loss: 1/n, or with `scale="count"` the plain sum of the losses.

    Args:
        prior, scale, every: see `WeightingRule`.
    """

    reads_losses: ClassVar[bool] = False

    def _start(self, losses: Float[Tensor, "num_envs losses"]) -> dict[str, Any]:
        return {}

    def _weigh(
        self, state: dict[str, Any], measured: Measurements
    ) -> Float[Tensor, "num_envs losses"]:
        return torch.full_like(measured.losses, 1 / measured.losses.shape[1])

    def _weigh_one(self, single: Single) -> Numbers:
        count = len(single.losses)
        return [single.number(1 / count)] * count
