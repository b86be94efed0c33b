"""Gradient descent."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.optimizers.optimizer import Optimizer, OptimizerState


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
