"""GradNorm: weights that bring the gradients of all losses to comparable norms."""

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.optimizers import Adam, Optimizer
from autoloss_gym.weightings.learned import descend
from autoloss_gym.weightings.measurements import Measurements
from autoloss_gym.weightings.rule import Scale, WeightingRule

_LEAST = 1e-6  # of a weight: a step never turns a loss off for good, nor around


@dataclass(kw_only=True)
class GradNorm(WeightingRule):
    """Weights learned so that w_k ‖∇L_k‖ meets a target (Chen, Badrinarayanan, Lee, Rabinovich:
    "GradNorm", ICML 2018, Algorithm 1).

    G_k = w_k ‖∇L_k‖, with the norm over the parameters that the losses share. The relative inverse
    training rate is r_k = (L_k / L_k(0)) / mean_l (L_l / L_l(0)), L(0) the first measured value,
    and the target mean_l(G_l) r_k^α is held constant while a step is taken down Σ_k |G_k −
    target_k| by w; then Σ w = n again. The weights of a call are those before its step, 1 each at
    the start. Norms count as they were last measured.

    For positive losses: one that has fallen to 0 or below counts as trained; where the first was 0,
        the weights stay.

    Args:
        alpha: α, how strongly a loss that lags behind is favoured; 0 makes all norms equal.
        optimizer: descends by w.
        scale: "count" (default) for weights that sum to n.
        prior, every: see `WeightingRule`.
    """

    needs_gradient_norms: ClassVar[bool] = True

    alpha: float = 1.5
    optimizer: Optimizer = field(default_factory=lambda: Adam(learning_rate=0.025))
    scale: Scale = "count"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.alpha < math.inf:
            raise ValueError(f"alpha={self.alpha}: expected a finite number of at least 0")

    def _start(self, losses: Float[Tensor, "num_envs losses"]) -> dict[str, Any]:
        weights = torch.ones_like(losses)
        names = ("initial", "latest", "norms")
        known = {name: torch.zeros_like(losses) for name in names} | {
            "seen": torch.zeros_like(losses, dtype=torch.bool)
        }
        return {"learned": weights, "optimizer": self.optimizer.init(weights)} | known

    def _weigh(
        self, state: dict[str, Any], measured: Measurements
    ) -> Float[Tensor, "num_envs losses"]:
        self._remember(state, measured)
        weights, norms = state["learned"], state["norms"]
        before = weights.clone()
        active = state["seen"].all(dim=1) & measured.refreshed.any(dim=1)
        descend(
            self.optimizer,
            weights,
            norms * torch.sign(weights * norms - self._targets(state)),
            state["optimizer"],
            active,
        )
        weights.clamp_(min=_LEAST)
        weights.mul_(weights.shape[1] / weights.sum(dim=1, keepdim=True))
        return before

    def _remember(self, state: dict[str, Any], measured: Measurements) -> None:
        refreshed = measured.refreshed
        state["initial"] = torch.where(
            refreshed & ~state["seen"], measured.losses, state["initial"]
        )
        state["latest"] = torch.where(refreshed, measured.losses, state["latest"])
        state["norms"] = torch.where(refreshed, measured.gradient_norms, state["norms"])
        state["seen"] = state["seen"] | refreshed

    def _targets(self, state: dict[str, Any]) -> Float[Tensor, "num_envs losses"]:
        ratios = state["latest"] / state["initial"]
        rates = (ratios / ratios.mean(dim=1, keepdim=True)).clamp(
            min=torch.finfo(ratios.dtype).tiny
        )
        mean = (state["learned"] * state["norms"]).mean(dim=1, keepdim=True)
        return mean * torch.exp(
            self.alpha * torch.log(rates)
        )  # not pow: its bits would depend on the batch
