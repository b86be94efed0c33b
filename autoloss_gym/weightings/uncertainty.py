"""Uncertainty weighting: weights from a learned noise variance of every loss."""

from dataclasses import KW_ONLY, dataclass, field
from operator import mul
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.optimizers import Adam, Optimizer
from autoloss_gym.weightings.learned import descend_each, descend_each_one, start_each
from autoloss_gym.weightings.measurements import Measurements
from autoloss_gym.weightings.rule import WeightingRule
from autoloss_gym.weightings.scaling import Scale
from autoloss_gym.weightings.single import Numbers, Single

_WIDEST = 30.0  # of |log σ²|: else the weights of losses that fall to 0 or below would overflow


@dataclass
class UncertaintyWeighting(WeightingRule):
    """w_k = ½ exp(−s_k) with the learned log variance s_k = log σ_k².

    The optimizer minimises Σ_k ½ exp(−s_k) L_k + ½ s_k, whose gradient with respect to s_k,
    ½ (1 − exp(−s_k) L_k), needs only the losses; it vanishes at w_k = 1 / (2 L_k). A call returns
    the weights before its step. s starts at 0, moves only where a loss was refreshed, and stays
    within ±30. The losses must be at least 0.

    Source: Kendall, Gal, Cipolla: "Multi-task learning using uncertainty to weigh losses", CVPR
    2018, Eq. 7 for two regressions.

    Args:
        optimizer: optimizer of s.
        scale: None (default) leaves the weights as they are, ½ each at the start.
        prior, every, reduce: see `WeightingRule`.
    """

    negative_losses: ClassVar[str] = (
        "its weight grows at every step, up to 5e12; give losses that are at least 0"
    )

    optimizer: Optimizer = field(default_factory=lambda: Adam(learning_rate=1e-2))
    _: KW_ONLY
    scale: Scale = None

    def _start(self, losses: Float[Tensor, "num_envs losses"]) -> dict[str, Any]:
        return {
            "log_variances": torch.zeros_like(losses),
            "optimizer": start_each(self.optimizer, losses),
        }

    def _weigh(
        self, state: dict[str, Any], measured: Measurements
    ) -> Float[Tensor, "num_envs losses"]:
        log_variances = state["log_variances"]
        precisions = torch.exp(-log_variances)
        gradients = (1 - precisions * measured.losses) / 2

        descend_each(
            self.optimizer, log_variances, gradients, state["optimizer"], measured.refreshed
        )
        log_variances.clamp_(-_WIDEST, _WIDEST)
        return precisions / 2

    def _weigh_one(self, single: Single) -> Numbers | None:
        optimizer = self.optimizer
        if type(optimizer) is not Adam:
            return None
        log_variances, kept = single.state["log_variances"], single.state["optimizer"]
        precisions = single.tensor([-each for each in log_variances]).exp_().tolist()
        products = single.each(mul, precisions, single.losses)
        gradients = single.rounded([(1 - product) / 2 for product in products])
        moved, kept = descend_each_one(optimizer, single, log_variances, gradients, kept)
        single.state["log_variances"] = [min(max(each, -_WIDEST), _WIDEST) for each in moved]
        single.state["optimizer"] = kept
        return [precision / 2 for precision in precisions]
