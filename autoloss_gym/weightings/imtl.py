"""IMTL-L: learned scales that bring all losses to the same size."""

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

_WIDEST = 30.0  # of |s|: else the weights of losses that fall to 0 or below would overflow


@dataclass
class IMTLBalance(WeightingRule):
    """w_k = exp(s_k) with learned s_k, the loss balance of impartial multi-task learning (IMTL-L).

    The optimizer minimises Σ_k exp(s_k) L_k − s_k, whose gradient with respect to s_k,
    exp(s_k) L_k − 1, needs only the losses; it vanishes at w_k = 1 / L_k, where all weighted losses
    are 1. A call returns the weights before its step. s starts at 0, moves only where a loss was
    refreshed, and stays within ±30. The losses must be at least 0.

    `UncertaintyWeighting` differs from it by factors of ½ alone. The gradient balance of the same
    paper, IMTL-G, combines gradients and is no weighting of losses.

    Source: Liu, Li, Kuang, Xue, Chen, Yang, Liao, Zhang: "Towards impartial multi-task learning",
    ICLR 2021, loss balance.

    Args:
        optimizer: optimizer of s. In the paper it is that of the model.
        scale: None (default) leaves the weights as they are, 1 each at the start.
        prior, every, reduce: see `WeightingRule`.
    """

    negative_losses: ClassVar[str] = (
        "its weight grows at every step, up to 1e13; give losses that are at least 0"
    )

    optimizer: Optimizer = field(default_factory=lambda: Adam(learning_rate=1e-2))
    _: KW_ONLY
    scale: Scale = None

    def _start(self, losses: Float[Tensor, "num_envs losses"]) -> dict[str, Any]:
        optimizer = start_each(self.optimizer, losses)
        return {"log_scales": torch.zeros_like(losses), "optimizer": optimizer}

    def _weigh(
        self, state: dict[str, Any], measured: Measurements
    ) -> Float[Tensor, "num_envs losses"]:
        log_scales = state["log_scales"]
        weights = torch.exp(log_scales)
        gradients = weights * measured.losses - 1
        descend_each(self.optimizer, log_scales, gradients, state["optimizer"], measured.refreshed)
        log_scales.clamp_(-_WIDEST, _WIDEST)
        return weights

    def _weigh_one(self, single: Single) -> Numbers | None:
        optimizer, log_scales = self.optimizer, single.state["log_scales"]
        if type(optimizer) is not Adam:
            return None
        weights = single.tensor(log_scales).exp_().tolist()
        products = single.each(mul, weights, single.losses)
        gradients = single.rounded([product - 1 for product in products])
        kept = single.state["optimizer"]
        moved, kept = descend_each_one(optimizer, single, log_scales, gradients, kept)
        single.state["log_scales"] = [min(max(each, -_WIDEST), _WIDEST) for each in moved]
        single.state["optimizer"] = kept
        return weights
