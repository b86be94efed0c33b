"""Gradient descent."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.optimizers.optimizer import Optimizer, OptimizerState
from autoloss_gym.tools.bounds import BelowOne


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Gradient descent, with heavy-ball momentum as in `torch.optim.SGD` where `momentum` > 0.

    The momentum is v ← μ v + g.
    """

    momentum: BelowOne = 0.0

    def init(self, parameters: Float[Tensor, "num_envs size"]) -> OptimizerState:
        state = {"steps": parameters.new_zeros(len(parameters), dtype=torch.int64)}
        if self.momentum:
            state["velocity"] = torch.zeros_like(parameters)
        return state

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
        direction = gradients
        if self.momentum:
            decay = torch.where(active, self.momentum, torch.ones_like(gradients[:, :1]))
            direction = state["velocity"].mul_(decay).add_(gradients * active)
        rate = torch.where(active, self.learning_rate * step_size[:, None], 0.0)
        parameters.sub_(direction * rate)
