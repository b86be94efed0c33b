"""Random loss weighting: new random weights at every step."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.weightings.boundary.arguments import Seed
from autoloss_gym.weightings.measurements import Measurements
from autoloss_gym.weightings.rule import WeightingRule


@dataclass
class RandomLossWeighting(WeightingRule):
    """w = softmax(z) with normal z, drawn anew at every call.

    The draws depend on the seed, the key of the run (see `reset`) and the number of calls since its
    reset alone, so that a run draws the same numbers alone and in a batch.

    Source: Lin, Ye, Zhang, Tsang: "Reasonable effectiveness of random weighting: a litmus test for
    multi-task learning", TMLR 2022.

    Args:
        seed: selects the draws.
        prior, scale, every: see `WeightingRule`.
    """

    reads_losses: ClassVar[bool] = False

    seed: Seed = 0

    def _start(self, losses: Float[Tensor, "num_envs losses"]) -> dict[str, Any]:
        return {}

    def _weigh(
        self, state: dict[str, Any], measured: Measurements
    ) -> Float[Tensor, "num_envs losses"]:
        losses = measured.losses
        keys = random.fold_in(state["keys"], f"random weights {self.seed}")
        draws = random.normal(random.fold_in(keys, state["calls"]), (losses.shape[1],))
        return torch.softmax(draws.to(losses.dtype), dim=1)
