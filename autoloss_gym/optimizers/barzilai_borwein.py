"""Steps whose size comes from the last two points."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.optimizers.optimizer import Optimizer, OptimizerState


@dataclass(frozen=True, kw_only=True)
class BarzilaiBorwein(Optimizer):
    """Gradient descent with a step from the last two points (Barzilai, Borwein: "Two-point step
    size gradient methods", 1988).

    Let Δx and Δh be the changes of parameters and gradient since the step before. The step is ‖Δx‖²
    / |Δx·Δh| ("long", BB1) or
    |Δx·Δh| / ‖Δh‖² ("short", BB2, never longer), clipped to [`lower`, `upper`]. The gradient is what the optimizer is given:
    where the weights of the losses change between two steps, Δh holds their change too. The first
    step of a run, and one after a step that moved nothing, is `learning_rate`; where the gradient
    did not change, the step is `upper`.

    The source is IMA Journal of Numerical Analysis 8, 141–148; the absolute value keeps the step
    positive where the curvature is not. `step_size` of `update` is a factor on the clipped step.

    Args:
        form: "long" or "short".
        lower, upper: least and greatest step.
    """

    form: str = "short"
    lower: float = 1e-4
    upper: float = 1e-1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.form not in ("long", "short"):
            raise ValueError(f"form={self.form!r}: expected 'long' or 'short'")
        if not 0 < self.lower <= self.upper < float("inf"):
            raise ValueError(
                f"lower={self.lower}, upper={self.upper}: expected positive finite numbers in this order"
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
        rate = self._estimate(
            parameters - state["previous_parameters"], gradients - state["previous_gradients"]
        )
        rate = torch.where(state["steps"] > 0, rate, self.learning_rate)
        for name, latest in (
            ("previous_parameters", parameters),
            ("previous_gradients", gradients),
        ):
            state[name].copy_(torch.where(active[:, None], latest, state[name]))
        state["steps"].add_(active)
        parameters.sub_(gradients * torch.where(active, rate * step_size, 0.0)[:, None])

    def _estimate(
        self, moved: Float[Tensor, "num_envs size"], changed: Float[Tensor, "num_envs size"]
    ) -> Float[Tensor, " num_envs"]:
        """The clipped step from Δx and Δh, finite whatever these are."""
        dtype, moved, changed = (
            moved.dtype,
            moved.double(),
            changed.double(),
        )  # squares of float32 do not overflow there
        product = (moved * changed).sum(dim=1).abs()
        long = self.form == "long"
        above, below = (
            ((moved * moved).sum(dim=1), product)
            if long
            else (product, (changed * changed).sum(dim=1))
        )
        divides = below > 0
        estimate = torch.where(divides, above / torch.where(divides, below, 1.0), self.upper).clamp(
            self.lower, self.upper
        )
        return torch.where((moved != 0).any(dim=1), estimate, self.learning_rate).to(dtype)
