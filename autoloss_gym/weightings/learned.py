"""One step of an optimizer on numbers that a rule learns."""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.optimizers import Adam, Optimizer, OptimizerState
from autoloss_gym.weightings.single import Numbers

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


def descend_one(
    optimizer: Optimizer,
    parameters: Numbers,
    gradients: Numbers,
    state: dict[str, Any],
    kind: Callable[[float], Any],
) -> tuple[Numbers, dict[str, Any]] | None:
    """`descend` for one active row in plain numbers; None for other optimizers than Adam.

    Returns:
        The parameters and the state after the step.
    """
    if type(optimizer) is not Adam:
        return None
    betas = optimizer.betas
    kept = [kind(beta) for beta in betas]
    new = [kind(1 - beta) for beta in betas]
    epsilon = kind(optimizer.epsilon)
    powers = [power * beta for power, beta in zip(state["powers"], betas, strict=True)]
    corrections = [kind(1 - power) for power in powers]
    rate = kind(optimizer.learning_rate) / corrections[0]
    root = kind(math.sqrt(corrections[1]))

    moved, moments, variances = [], [], []
    rows = zip(parameters, gradients, state["first_moment"], state["second_moment"], strict=True)
    for parameter, gradient, moment, variance in rows:
        gradient = kind(min(max(gradient, -_LARGEST), _LARGEST))
        moment = moment * kept[0] + gradient * new[0]
        variance = variance * kept[1] + gradient * gradient * new[1]
        denominator = kind(math.sqrt(variance)) / root + epsilon
        moved.append(parameter - moment * rate / denominator)
        moments.append(moment)
        variances.append(variance)
    after = {
        "steps": state["steps"] + 1,
        "powers": powers,
        "first_moment": moments,
        "second_moment": variances,
    }
    return moved, after
