"""ReLoBRaLo: relative loss balancing with random lookback."""

from dataclasses import KW_ONLY, dataclass, field
from operator import add, mul, truediv
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.tools.bounds import PositiveFloat, Share
from autoloss_gym.weightings import memory
from autoloss_gym.weightings.boundary.arguments import Seed
from autoloss_gym.weightings.measurements import Measurements
from autoloss_gym.weightings.rule import WeightingRule
from autoloss_gym.weightings.scaling import Scale
from autoloss_gym.weightings.single import Numbers, Single

_BLOCK = 64


@dataclass
class ReLoBRaLo(WeightingRule):
    """A moving average of n softmax_k(L_k / (T L_k')), with L' the previous or the first value.

    With λ̂(t, t') = n softmax_k(L_k(t) / (T L_k(t'))), a call takes the step

        λ(t) = α (ρ λ(t−1) + (1 − ρ) λ̂(t, 0)) + (1 − α) λ̂(t, t−1)

    and returns λ(t). ρ is 1 with the given probability, else 0, and then the average forgets its
    past and looks back to the first value of each loss. The draws depend on the seed, the key of
    the run (see `reset`) and the number of calls since its reset alone.

    λ is 1 each until every loss was measured twice. Ratios are those of measured values; a step in
    which one is not finite, as when an earlier value was 0, is left out.

    Source: Bischof, Kraus: "Multi-objective loss balancing for physics-informed deep learning",
    arXiv 2110.09813, 2021.

    Args:
        alpha: α, the share of the past.
        temperature: T; the greater, the more equal the weights. The authors' code has α = 0.999 and
            T = 1 where nothing else is said.
        rho: probability that ρ = 1. The default looks back at one call in a thousand; 1, as in the
            authors' code where nothing else is said, never does.
        seed: selects the draws.
        scale: "count" (default) for weights that sum to n, as those of the formula do.
        prior, every, reduce: see `WeightingRule`.
    """

    negative_losses: ClassVar[str] = "the ratio of its values does not tell how fast it falls"

    alpha: Share = 0.999
    _: KW_ONLY
    temperature: PositiveFloat = 1.0
    rho: Share = 0.999
    seed: Seed = 0
    scale: Scale = "count"
    # Of one run, whether so many calls look back, and for which run and calls these draws are.
    _block: tuple[Any, list[bool]] | None = field(default=None, init=False, repr=False)

    def _start(self, losses: Float[Tensor, "num_envs losses"]) -> dict[str, Any]:
        first = {"learned": torch.ones_like(losses), "initial": torch.zeros_like(losses)}
        return first | memory.start(losses, 2)

    def _weigh(
        self, state: dict[str, Any], measured: Measurements
    ) -> Float[Tensor, "num_envs losses"]:
        first = measured.refreshed & (state["seen"] == 0)
        state["initial"] = torch.where(first, measured.losses, state["initial"])
        memory.remember(state, measured)
        latest, previous = state["history"].unbind(dim=-1)

        learned = state["learned"]
        looks_back = self._looks_back(state["keys"], state["calls"])
        kept = torch.where(looks_back[:, None], self._balanced(latest, state["initial"]), learned)
        moved = self.alpha * kept + (1 - self.alpha) * self._balanced(latest, previous)
        known = (state["seen"] == 2) & torch.isfinite(moved)
        moves = known.all(dim=1) & measured.refreshed.any(dim=1)
        state["learned"] = torch.where(moves[:, None], moved, learned)
        return state["learned"].clone()

    def _balanced(
        self,
        values: Float[Tensor, "num_envs losses"],
        earlier: Float[Tensor, "num_envs losses"],
    ) -> Float[Tensor, "num_envs losses"]:
        """λ̂, NaN where a ratio is not finite."""
        ratios = values / earlier / self.temperature
        return values.shape[1] * torch.softmax(ratios, dim=1)

    def _looks_back(
        self, keys: Int64[Tensor, " runs"], calls: Int64[Tensor, " runs"]
    ) -> Bool[Tensor, " runs"]:
        keys = random.fold_in(keys, f"relobralo {self.seed}")
        return random.uniform(random.fold_in(keys, calls)) >= self.rho

    def _weigh_one(self, single: Single) -> Numbers | None:
        history = memory.remember_one(single)
        if history is None:
            return None
        latest, previous = [each[0] for each in history], [each[1] for each in history]
        kept = single.state["learned"]
        if self._looks_back_one(single):
            kept = self._balanced_one(single, latest, single.state["initial"])
        recent = self._balanced_one(single, latest, previous)
        past = single.each(mul, kept, single.number(self.alpha))
        learned = single.each(add, past, single.each(mul, recent, single.number(1 - self.alpha)))
        single.state["learned"] = learned
        return learned

    def _balanced_one(self, single: Single, values: Numbers, earlier: Numbers) -> Numbers:
        ratios = single.each(truediv, values, earlier)
        ratios = single.each(truediv, ratios, single.number(self.temperature))
        balanced = torch.softmax(single.tensor(ratios), dim=0).tolist()
        return single.each(mul, balanced, float(len(values)))

    def _looks_back_one(self, single: Single) -> bool:
        call = single.state["calls"]
        wanted = (single.state["keys"], call // _BLOCK, self.seed, self.rho)
        if self._block is None or self._block[0] != wanted:
            start = call - call % _BLOCK
            calls = torch.arange(start, start + _BLOCK, dtype=torch.int64, device="cpu")
            keys = torch.full_like(calls, single.state["keys"])
            self._block = wanted, self._looks_back(keys, calls).tolist()
        return self._block[1][call % _BLOCK]
