"""Random loss weighting: new random weights at every step."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.weightings.boundary.arguments import Seed
from autoloss_gym.weightings.measurements import Measurements
from autoloss_gym.weightings.rule import WeightingRule
from autoloss_gym.weightings.single import Numbers, Single

_BLOCK = 64


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
    # Of one run, the draws of so many calls at once, and for which run and calls they are.
    _block: tuple[Any, list[list[float]]] | None = field(default=None, init=False, repr=False)

    def _start(self, losses: Float[Tensor, "num_envs losses"]) -> dict[str, Any]:
        return {}

    def _weigh(
        self, state: dict[str, Any], measured: Measurements
    ) -> Float[Tensor, "num_envs losses"]:
        losses = measured.losses
        return self._drawn(state["keys"], state["calls"], losses.shape[1], losses.dtype)

    def _weigh_one(self, single: Single) -> Numbers:
        call, count = single.state["calls"], len(single.losses)
        wanted = (single.state["keys"], call // _BLOCK, count, single.like.dtype, self.seed)
        if self._block is None or self._block[0] != wanted:
            start = call - call % _BLOCK
            calls = torch.arange(start, start + _BLOCK, dtype=torch.int64, device="cpu")
            keys = torch.full_like(calls, single.state["keys"])
            rows = self._drawn(keys, calls, count, single.like.dtype).tolist()
            self._block = wanted, rows
        return self._block[1][call % _BLOCK]

    def _drawn(
        self,
        keys: Int64[Tensor, " runs"],
        calls: Int64[Tensor, " runs"],
        count: int,
        dtype: torch.dtype,
    ) -> Float[Tensor, "runs losses"]:
        keys = random.fold_in(keys, f"random weights {self.seed}")
        draws = random.normal(random.fold_in(keys, calls), (count,))
        return torch.softmax(draws.to(dtype), dim=1)
