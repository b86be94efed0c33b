"""Learning-rate annealing: every loss' gradients brought to the size of those of the first loss."""

from dataclasses import KW_ONLY, dataclass, field
from operator import add, mul, truediv
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.tools.bounds import Share
from autoloss_gym.weightings.measurements import Measurements
from autoloss_gym.weightings.rule import WeightingRule
from autoloss_gym.weightings.scaling import Scale
from autoloss_gym.weightings.shared import parameters_of
from autoloss_gym.weightings.single import Numbers, Single


@dataclass
class GradientAnnealing(WeightingRule):
    """w_k = λ_k, a moving average of max |∇L_1| / mean |∇L_k|; the first loss has weight 1.

    The maximum and the mean are over the parameters θ that the losses share, as they were last
    measured: by the rule itself, by a backward pass for each loss down to `shared`, or by you. A
    call that measures loss k takes the step

        λ_k ← (1 − α) λ_k + α max |∂L_1/∂θ| / mean |∂L_k/∂θ|

    and returns the weights after it. λ starts at 1, and stays as it is where the ratio is not
    finite, as when all gradients of a loss are 0. In the paper the first loss is the residual of a
    differential equation and the others are its boundary and initial conditions.

    Source: Wang, Teng, Perdikaris: "Understanding and mitigating gradient flow pathologies in
    physics-informed neural networks", SIAM Journal on Scientific Computing 43, 2021, Algorithm 1.

    Args:
        alpha: α, the share of the new ratio. The paper recommends 0.9 in its text; the authors'
            code keeps 0.9 of the old weight, which is α = 0.1.
        scale: None (default) leaves the weights as they are.
        shared: parameters that all losses share, or modules of them. They are not saved. Default:
            none, and calls bring `gradient_norms`: for the first loss the largest |∂L/∂θ|, for the
            others the mean |∂L/∂θ|.
        prior, every, reduce: see `WeightingRule`.
    """

    needs_gradient_norms: ClassVar[bool] = True
    gradient_figures: ClassVar[str] = "magnitudes"

    alpha: Share = 0.1
    _: KW_ONLY
    scale: Scale = None
    shared: Any = field(default=None, repr=False, metadata={"saved": False})

    def __post_init__(self) -> None:
        super().__post_init__()
        self.shared = parameters_of(self.shared)

    def _start(self, losses: Float[Tensor, "num_envs losses"]) -> dict[str, Any]:
        return {
            "learned": torch.ones_like(losses),
            "reference": torch.full_like(losses[:, 0], torch.nan),  # not yet measured
        }

    def _weigh(
        self, state: dict[str, Any], measured: Measurements
    ) -> Float[Tensor, "num_envs losses"]:
        magnitudes, refreshed = measured.gradient_norms, measured.refreshed
        latest = torch.where(refreshed[:, 0], magnitudes[:, 0], state["reference"])
        state["reference"] = latest

        learned = state["learned"]
        ratios = latest[:, None] / magnitudes
        moved = (1 - self.alpha) * learned + self.alpha * ratios
        moves = refreshed & torch.isfinite(ratios)
        moves[:, 0] = False
        state["learned"] = torch.where(moves, moved, learned)
        return state["learned"].clone()

    def _weigh_one(self, single: Single) -> Numbers:
        state, each, magnitudes = single.state, single.each, single.norms
        if magnitudes is not None:
            state["reference"] = magnitudes[0]
            ratios = each(truediv, [magnitudes[0]] * len(magnitudes), magnitudes)
            kept = each(mul, state["learned"], single.number(1 - self.alpha))
            moved = each(add, kept, each(mul, ratios, single.number(self.alpha)))
            state["learned"] = [state["learned"][0], *moved[1:]]
        return state["learned"]
