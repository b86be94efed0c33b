"""Steps whose size comes from the last two points."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.optimizers.optimizer import Optimizer, OptimizerState
from autoloss_gym.tools.bounds import PositiveFloat


@dataclass(frozen=True, kw_only=True)
class BarzilaiBorwein(Optimizer):
    """Gradient descent with a step size from the last two points.

    Let Δx and Δh be the changes of parameters and gradient since the step before. The step size is
    ‖Δx‖² / |Δx·Δh| ("long", BB1) or |Δx·Δh| / ‖Δh‖² ("short", BB2, never longer), clipped to
    [`lower`, `upper`]. The absolute value keeps it positive where the curvature is not.

    The gradient is the one that the optimizer is given: where the weights of the losses change
    between two steps, Δh includes that change. The first step size of a run, and the one after a
    step that moved nothing, is `learning_rate`; where the gradient did not change, it is `upper`.
    `step_size` of `update` is a factor on the clipped step size.

    Source: Barzilai, Borwein: "Two-point step size gradient methods", IMA Journal of Numerical
    Analysis 8, 1988, 141–148.

    Args:
        form: "long" or "short".
        lower, upper: least and greatest step size.
    """

    form: Literal["long", "short"] = "short"
    lower: PositiveFloat = 1e-4
    upper: PositiveFloat = 1e-1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lower > self.upper:
            raise ValueError(
                f"lower={self.lower}, upper={self.upper}: expected numbers in this order"
            )

    def init(self, parameters: Float[Tensor, "num_envs size"]) -> OptimizerState:
        return {
            "steps": parameters.new_zeros(len(parameters), dtype=torch.int64),
            "previous_parameters": torch.zeros_like(parameters),
            "previous_gradients": torch.zeros_like(parameters),
        }

    def update(
        self,
        parameters: Float[Tensor, "num_envs size"],
        gradients: Float[Tensor, "num_envs size"],
        state: OptimizerState,
        active: Bool[Tensor, " num_envs"],
        step_size: Float[Tensor, " num_envs"],
    ) -> None:
        moved = parameters - state["previous_parameters"]
        changed = gradients - state["previous_gradients"]
        rate = torch.where(state["steps"] > 0, self._estimate(moved, changed), self.learning_rate)

        _replace(state["previous_parameters"], parameters, active)
        _replace(state["previous_gradients"], gradients, active)
        state["steps"].add_(active)
        parameters.sub_(gradients * torch.where(active, rate * step_size, 0.0)[:, None])

    def _estimate(
        self, moved: Float[Tensor, "num_envs size"], changed: Float[Tensor, "num_envs size"]
    ) -> Float[Tensor, " num_envs"]:
        """The clipped step size from Δx and Δh, finite whatever these are."""
        dtype = moved.dtype
        moved = moved.double()  # squares of float32 numbers do not overflow in float64
        changed = changed.double()
        product = (moved * changed).sum(dim=1).abs()
        if self.form == "long":
            numerator = (moved * moved).sum(dim=1)
            denominator = product
        else:
            numerator = product
            denominator = (changed * changed).sum(dim=1)

        # The inner `where` keeps gradients through the division finite where it is not taken.
        divides = denominator > 0
        ratio = numerator / torch.where(divides, denominator, 1.0)
        estimate = torch.where(divides, ratio, self.upper).clamp(self.lower, self.upper)
        return torch.where((moved != 0).any(dim=1), estimate, self.learning_rate).to(dtype)


def _replace(
    previous: Float[Tensor, "num_envs size"],
    latest: Float[Tensor, "num_envs size"],
    active: Bool[Tensor, " num_envs"],
) -> None:
    """Write the latest values of the active runs over the previous ones."""
    previous.copy_(torch.where(active[:, None], latest, previous))
