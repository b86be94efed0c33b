"""Batched optimizers: one block of parameters (num_envs, size), a step count per run, idle runs untouched.

`update` works in place on the tensors it is given; whoever wants a pure update passes clones, through which gradients
flow. Only correctly rounded operations are used (no `pow`, no fused multiply-add), so that a run gets the same bits in a
batch of any size.
"""

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
            raise ValueError(f"learning_rate={self.learning_rate}: expected a positive finite number")

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
        """One step, in place, of the runs that are `active`; the others keep parameters, moments and step counts.

        Args:
            parameters: values of one block.
            gradients: descent is along their negative; finite, also where a run is idle.
            state: what `init` returned.
            active: runs that take this step.
            step_size: factor on `learning_rate`.
        """


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Gradient descent, with heavy-ball momentum v ← μ v + g where `momentum` μ > 0 (as torch.optim.SGD)."""

    momentum: float = 0.0

    def init(self, parameters: Float[Tensor, "num_envs size"]) -> OptimizerState:
        steps = parameters.new_zeros(len(parameters), dtype=torch.int64)
        return {"steps": steps} | ({"velocity": torch.zeros_like(parameters)} if self.momentum else {})

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
        parameters.sub_(gradients * torch.where(active, self.learning_rate * step_size[:, None], 0.0))


@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Adam (Kingma, Ba: "Adam: a method for stochastic optimization", ICLR 2015, Algorithm 1)."""

    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def init(self, parameters: Float[Tensor, "num_envs size"]) -> OptimizerState:
        ones = parameters.new_ones(len(parameters), dtype=torch.float64)
        return {
            "steps": torch.zeros_like(ones, dtype=torch.int64),
            "first_power": ones,  # β₁ᵗ and β₂ᵗ as running products
            "second_power": ones.clone(),
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
        first_beta, second_beta = self.betas
        state["steps"].add_(active)
        for name, beta in (("first_power", first_beta), ("second_power", second_beta)):
            state[name].copy_(torch.where(active, state[name] * beta, state[name]))
        first_power, second_power = state["first_power"], state["second_power"]
        first = torch.where(active, self.learning_rate / (1 - first_power), 0.0).to(parameters.dtype) * step_size
        second = torch.sqrt(torch.where(active, 1 - second_power, 1.0)).to(parameters.dtype)

        active = active[:, None]
        kept, new = torch.where(active, first_beta, 1.0), torch.where(active, 1 - first_beta, 0.0)
        moment = state["first_moment"].mul_(kept).add_(gradients * new)
        kept, new = torch.where(active, second_beta, 1.0), torch.where(active, 1 - second_beta, 0.0)
        variance = state["second_moment"].mul_(kept).add_(gradients * gradients * new)
        denominator = (_square_root(variance) / second[:, None]).add_(torch.where(active, self.epsilon, 1.0))
        parameters.sub_(moment * first[:, None] / denominator)


def _square_root(values: Tensor) -> Tensor:
    """√values, with gradient 0 instead of infinity at 0 (a coordinate that has never had a gradient)."""
    if not values.requires_grad:
        return torch.sqrt(values)
    positive = values > 0
    return torch.where(positive, torch.sqrt(torch.where(positive, values, 1.0)), 0.0)
