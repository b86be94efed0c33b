"""One step of an optimizer on numbers that a rule learns."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.optimizers import Optimizer, OptimizerState

_LARGEST = 1e15  # of a gradient: Adam squares it, and squares above 3e38 overflow float32


def descend(
    optimizer: Optimizer,
    parameters: Float[Tensor, "rows size"],
    gradients: Float[Tensor, "rows size"],
    state: OptimizerState,
    active: Bool[Tensor, " rows"],
) -> None:
    """One step, in place, of the rows that are `active` and whose gradients are not NaN."""
    active = active & ~torch.isnan(gradients).any(dim=1)
    gradients = torch.where(active[:, None], gradients.clamp(-_LARGEST, _LARGEST), 0.0)
    optimizer.update(parameters, gradients, state, active, torch.ones_like(parameters[:, 0]))
