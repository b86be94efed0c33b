"""Batched optimizers: one block of parameters (num_envs, size), a step count per run, idle runs
untouched.

`update` works in place on the tensors it is given; whoever wants a pure update passes clones,
through which gradients flow. Only correctly rounded operations are used (no `pow`, no fused
multiply-add), so that a run gets the same bits in a batch of any size.
"""

import functools
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

OptimizerState = dict[str, Shaped[Tensor, "num_envs ..."]]


@dataclass(frozen=True, kw_only=True)
class Optimizer(ABC):
    """Rule that turns gradients into updates; `learning_rate` is its step size ε."""

    learning_rate: float

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(
                f"learning_rate={self.learning_rate}: expected a positive finite number"
            )

    @abstractmethod
    def init(self, parameters: Float[Tensor, "num_envs size"]) -> OptimizerState:
        """State before the first step."""

    @abstractmethod
    def update(
        self,
        parameters: Float[Tensor, "num_envs size"],
        gradients: Float[Tensor, "num_envs size"],
        state: OptimizerState,
        active: Bool[Tensor, " num_envs"],
        step_size: Float[Tensor, " num_envs"],
    ) -> None:
        """One step, in place, of the runs that are `active`; the others keep parameters, moments
        and step counts.

        Args:
            parameters: values of one block.
            gradients: descent is along their negative; finite, also where a run is idle.
            state: what `init` returned.
            active: runs that take this step.
            step_size: factor on `learning_rate`.
        """


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Gradient descent, with heavy-ball momentum v ← μ v + g where `momentum` μ > 0 (as
    torch.optim.SGD).
    """

    momentum: float = 0.0

    def init(self, parameters: Float[Tensor, "num_envs size"]) -> OptimizerState:
        steps = parameters.new_zeros(len(parameters), dtype=torch.int64)
        return {"steps": steps} | (
            {"velocity": torch.zeros_like(parameters)} if self.momentum else {}
        )

    def update(
        self,
        parameters: Float[Tensor, "num_envs size"],
        gradients: Float[Tensor, "num_envs size"],
        state: OptimizerState,
        active: Bool[Tensor, " num_envs"],
        step_size: Float[Tensor, " num_envs"],
    ) -> None:
        state["steps"].add_(active)
        active = active[:, None]
        if self.momentum:
            decay = torch.where(active, self.momentum, 1.0)
            gradients = state["velocity"].mul_(decay).add_(gradients * active)
        parameters.sub_(
            gradients * torch.where(active, self.learning_rate * step_size[:, None], 0.0)
        )


@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Adam (Kingma, Ba: "Adam: a method for stochastic optimization", ICLR 2015, Algorithm 1)."""

    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def init(self, parameters: Float[Tensor, "num_envs size"]) -> OptimizerState:
        return {
            "steps": parameters.new_zeros(len(parameters), dtype=torch.int64),
            "powers": parameters.new_ones(
                len(parameters), 2, dtype=torch.float64
            ),  # β₁ᵗ and β₂ᵗ as running products
            "first_moment": torch.zeros_like(parameters),
            "second_moment": torch.zeros_like(parameters),
        }

    def update(
        self,
        parameters: Float[Tensor, "num_envs size"],
        gradients: Float[Tensor, "num_envs size"],
        state: OptimizerState,
        active: Bool[Tensor, " num_envs"],
        step_size: Float[Tensor, " num_envs"],
    ) -> None:
        state["steps"].add_(active)
        active = active[:, None]
        taken, idle, betas, ones, idle_corrections = _constants(
            self.betas, self.epsilon, parameters.device, parameters.dtype
        )
        kept_1, kept_2, new_1, new_2, epsilon = torch.where(active, taken, idle).chunk(5, dim=1)
        powers = state["powers"].mul_(torch.where(active, betas, ones))
        first, second = (
            torch.where(active, 1 - powers, idle_corrections).to(parameters.dtype).chunk(2, dim=1)
        )

        moment = state["first_moment"].mul_(kept_1).add_(gradients * new_1)
        variance = state["second_moment"].mul_(kept_2).add_((gradients * gradients).mul_(new_2))
        denominator = (_square_root(variance) / torch.sqrt(second)).add_(epsilon)
        parameters.sub_(
            (moment * ((self.learning_rate * step_size)[:, None] / first)).div_(denominator)
        )


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


@torch.compiler.assume_constant_result
def _constants(
    betas: tuple[float, float], epsilon: float, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, ...]:
    """Rows of numbers for the runs that take a step, and for those that nothing may change.

    Returns:
        β₁, β₂, 1 − β₁, 1 − β₂ and ε; the same for idle runs; the betas, and for idle runs; the bias
        corrections of idle runs.
    """
    return _known_constants(betas, epsilon, device, dtype)


@functools.lru_cache(maxsize=64)
def _known_constants(
    betas: tuple[float, float], epsilon: float, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, ...]:
    first, second = betas
    return (
        torch.tensor((first, second, 1 - first, 1 - second, epsilon), device=device, dtype=dtype),
        torch.tensor((1.0, 1.0, 0.0, 0.0, 1.0), device=device, dtype=dtype),
        torch.tensor(betas, device=device, dtype=torch.float64),
        torch.tensor((1.0, 1.0), device=device, dtype=torch.float64),
        torch.tensor((float("inf"), 1.0), device=device, dtype=torch.float64),
    )


def _square_root(values: Tensor) -> Tensor:
    """√values, with gradient 0 instead of infinity at 0 (a coordinate that has never had a
    gradient).
    """
    if not values.requires_grad:
        return torch.sqrt(values)
    positive = values > 0
    return torch.where(positive, torch.sqrt(torch.where(positive, values, 1.0)), 0.0)
