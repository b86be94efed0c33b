"""NTK weights: losses whose errors fall at comparable rates, by their neural tangent kernels."""

import math
from dataclasses import dataclass
from operator import truediv
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.weightings.measurements import Measurements
from autoloss_gym.weightings.rule import WeightingRule
from autoloss_gym.weightings.scaling import Scale
from autoloss_gym.weightings.single import Numbers, Single


@dataclass(kw_only=True)
class NTKWeights(WeightingRule):
    """w_k = Σ_j tr K_j / tr K_k with the neural tangent kernel K_k of each loss.

    The trace is Σ_i ‖∂r_k(x_i)/∂θ‖² over the points x_i of a loss that is a mean of r_k(x_i)². The
    larger it is, the faster the residual falls; the weights make the rates comparable. A rule
    cannot take it from the loss, so calls bring it as `gradient_norms`, where `gradient_norms_due`.
    It is costly and changes slowly: with `every` it is measured at some calls only.

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

    def _weigh_one(self, single: Single) -> Numbers | None:
        traces = single.norms or single.state["traces"]
        if not all(map(math.isfinite, traces)):
            return None
        single.state["traces"] = traces
        return single.each(truediv, [single.total(traces)] * len(traces), traces)
