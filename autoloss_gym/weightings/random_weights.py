"""Random loss weighting: new random weights at every step."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.weightings.measurements import Measurements
from autoloss_gym.weightings.rule import WeightingRule


@dataclass(kw_only=True)
class RandomLossWeighting(WeightingRule):
    """w = softmax(z), z normal, drawn anew at every call (Lin, Ye, Zhang, Tsang: "Reasonable
    effectiveness of random weighting: a litmus test for multi-task learning", TMLR 2022).

    Draws follow from the seed, the key of the run (see `reset`) and the number of calls since its
    reset, so that a run draws the same alone and in a batch.

    Args:
        seed: another one, other draws.
        prior, scale, every: see `WeightingRule`.
    """

    reads_losses: ClassVar[bool] = False

    seed: int = 0

    def _start(self, losses: Float[Tensor, "num_envs losses"]) -> dict[str, Any]:
        return {}

    def _weigh(
        self, state: dict[str, Any], measured: Measurements
    ) -> Float[Tensor, "num_envs losses"]:
        keys = random.fold_in(
            random.fold_in(state["keys"], f"random weights {self.seed}"), state["calls"]
        )
        return torch.softmax(
            random.normal(keys, (measured.losses.shape[1],)).to(measured.losses.dtype), dim=1
        )
