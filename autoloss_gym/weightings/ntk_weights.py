"""NTK weights: losses whose errors fall at comparable rates, by their neural tangent kernels."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.weightings.measurements import Measurements
from autoloss_gym.weightings.rule import WeightingRule
from autoloss_gym.weightings.scaling import Scale


@dataclass(kw_only=True)
class NTKWeights(WeightingRule):
    """w_k = Σ_j tr K_j / tr K_k with the neural tangent kernel K_k of each loss.

    The trace is Σ_i ‖∂r_k(x_i)/∂θ‖² over the points x_i of a loss that is the mean of r_k(x_i)²: its
    mean eigenvalue is the rate at which such a residual falls. The rule cannot take it from the
    loss, so calls bring it as `gradient_norms`, where `gradient_norms_due`; `every` says how often.
    In the paper these are all calls, or one in many to save time.

    The weights follow from the traces that were last measured. They are equal until each was
    measured once, and where one is 0.

    Source: Wang, Yu, Perdikaris: "When and why PINNs fail to train: a neural tangent kernel
    perspective", Journal of Computational Physics 449, 2022, Algorithm 1.

    Args:
        scale: None (default) leaves the weights as they are; they are then at least 1 each.
        prior, every, reduce: see `WeightingRule`.
    """

    needs_gradient_norms: ClassVar[bool] = True
    gradient_figures: ClassVar[str] = "kernel_traces"

    scale: Scale = None

    def _start(self, losses: Float[Tensor, "num_envs losses"]) -> dict[str, Any]:
        return {"traces": torch.full_like(losses, torch.nan)}  # not yet measured

    def _weigh(
        self, state: dict[str, Any], measured: Measurements
    ) -> Float[Tensor, "num_envs losses"]:
        traces = torch.where(measured.refreshed, measured.gradient_norms, state["traces"])
        state["traces"] = traces
        return traces.sum(dim=1, keepdim=True) / traces
