"""GradNorm: weights that bring the gradients of all losses to comparable norms."""

from dataclasses import KW_ONLY, dataclass, field
from operator import mul, truediv
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.optimizers import Adam, Optimizer
from autoloss_gym.tools.bounds import NonNegativeFloat
from autoloss_gym.weightings.learned import descend, descend_row_one
from autoloss_gym.weightings.measurements import Measurements
from autoloss_gym.weightings.rule import WeightingRule
from autoloss_gym.weightings.scaling import Scale
from autoloss_gym.weightings.shared import parameters_of
from autoloss_gym.weightings.single import Numbers, Single

_LEAST_WEIGHT = 1e-6  # a step of the optimizer neither turns a loss off for good nor its sign round


@dataclass
class GradNorm(WeightingRule):
    """Weights learned so that each weighted gradient norm G_k = w_k ‖∇L_k‖ meets a target.

    The norm is over the parameters that the losses share, as it was last measured: by the rule
    itself, by a backward pass for each loss down to `shared`, or by you (`gradient_norms`). With
    the first measured value L(0), the relative inverse training rate is

        r_k = (L_k / L_k(0)) / mean_l (L_l / L_l(0)).

    The target mean_l(G_l) r_k^α is held constant while the optimizer takes one step on
    Σ_k |G_k − target_k| with respect to w; then the weights are scaled so that Σ w = n again. A
    call returns the weights before its step, at the start 1 each.

    The losses must be positive: one that has fallen to 0 or below counts as trained, and where the
    first value was 0 the weights stay as they are.

    Source: Chen, Badrinarayanan, Lee, Rabinovich: "GradNorm", ICML 2018, Algorithm 1.

    Args:
        alpha: α, how strongly a loss that lags behind is favoured; 0 makes all norms equal.
        optimizer: optimizer of w.
        scale: "count" (default) for weights that sum to n.
        shared: parameters that all losses share, or modules of them. They are not saved. Default:
            none, and calls bring gradient norms.
        prior, every, reduce: see `WeightingRule`.
    """

    needs_gradient_norms: ClassVar[bool] = True
    negative_losses: ClassVar[str] = "it counts as trained"

    alpha: NonNegativeFloat = 1.5
    _: KW_ONLY
    optimizer: Optimizer = field(default_factory=lambda: Adam(learning_rate=0.025))
    scale: Scale = "count"
    shared: Any = field(default=None, repr=False, metadata={"saved": False})

    def __post_init__(self) -> None:
        super().__post_init__()
        self.shared = parameters_of(self.shared)

    def _start(self, losses: Float[Tensor, "num_envs losses"]) -> dict[str, Any]:
        weights = torch.ones_like(losses)
        return {
            "learned": weights,
            "optimizer": self.optimizer.init(weights),
            "initial": torch.zeros_like(losses),
            "latest": torch.zeros_like(losses),
            "norms": torch.zeros_like(losses),
            "seen": torch.zeros_like(losses, dtype=torch.bool),
        }

    def _weigh(
        self, state: dict[str, Any], measured: Measurements
    ) -> Float[Tensor, "num_envs losses"]:
        self._remember(state, measured)
        weights, norms = state["learned"], state["norms"]
        before = weights.clone()

        # d/dw_k of Σ_k |w_k ‖∇L_k‖ − target_k|, the targets being constants.
        gradients = norms * torch.sign(weights * norms - self._targets(state))
        active = state["seen"].all(dim=1) & measured.refreshed.any(dim=1)
        descend(self.optimizer, weights, gradients, state["optimizer"], active)

        weights.clamp_(min=_LEAST_WEIGHT)
        weights.mul_(weights.shape[1] / weights.sum(dim=1, keepdim=True))
        return before

    def _remember(self, state: dict[str, Any], measured: Measurements) -> None:
        refreshed = measured.refreshed
        first = refreshed & ~state["seen"]
        state["initial"] = torch.where(first, measured.losses, state["initial"])
        state["latest"] = torch.where(refreshed, measured.losses, state["latest"])
        state["norms"] = torch.where(refreshed, measured.gradient_norms, state["norms"])
        state["seen"] = state["seen"] | refreshed

    def _targets(self, state: dict[str, Any]) -> Float[Tensor, "num_envs losses"]:
        ratios = state["latest"] / state["initial"]
        smallest = torch.finfo(ratios.dtype).tiny
        rates = (ratios / ratios.mean(dim=1, keepdim=True)).clamp(min=smallest)
        mean = (state["learned"] * state["norms"]).mean(dim=1, keepdim=True)
        # No pow: its vector and scalar paths round differently, so a run's bits would depend on
        # the size of the batch.
        return mean * torch.exp(self.alpha * torch.log(rates))

    def _weigh_one(self, single: Single) -> Numbers | None:
        state, optimizer = single.state, self.optimizer
        if not all(state["seen"]) or type(optimizer) is not Adam:
            return None
        before = weights = state["learned"]
        if single.norms is not None:
            state["latest"], state["norms"] = single.losses, single.norms
            weights = self._moved(single, optimizer)
        least = single.number(_LEAST_WEIGHT)
        weights = [max(weight, least) for weight in weights]
        # PyTorch divides a number by a tensor in these two steps.
        inverse = single.number(1 / single.total(weights))
        state["learned"] = single.each(mul, weights, single.number(inverse * len(weights)))
        return before

    def _moved(self, single: Single, optimizer: Adam) -> Numbers:
        """The weights after a step of Adam, whose moments are then those after it."""
        weights, kept = single.state["learned"], single.state["optimizer"]
        norms = single.state["norms"]
        weighted = single.each(mul, weights, norms)
        targets = self._targets_of_one(single, weighted)
        signs = [float((a > b) - (a < b)) for a, b in zip(weighted, targets, strict=True)]
        gradients = single.each(mul, norms, signs)
        weights, kept = descend_row_one(optimizer, single, weights, gradients, kept)
        single.state["optimizer"] = kept
        return weights

    def _targets_of_one(self, single: Single, weighted: Numbers) -> Numbers:
        state, count = single.state, len(weighted)
        ratios = single.each(truediv, state["latest"], state["initial"])
        mean_ratio = single.number(single.total(ratios) / count)
        smallest = torch.finfo(single.like.dtype).tiny
        rates = [max(rate, smallest) for rate in single.each(truediv, ratios, mean_ratio)]
        powers = single.tensor(rates).log_().mul_(self.alpha).exp_().tolist()
        mean = single.number(single.total(weighted) / count)
        return single.each(mul, powers, mean)
