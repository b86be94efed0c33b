"""One step of an optimizer on numbers that a rule learns."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.optimizers import Adam, Optimizer, OptimizerState
from autoloss_gym.weightings.single import Numbers, Single

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


@dataclass
class Moments:
    """What Adam keeps of each number.

    Args:
        powers: β₁ᵗ and β₂ᵗ of each.
        first: moments.
        second: likewise.
    """

    powers: list[list[float]]
    first: Numbers
    second: Numbers


def descend_one(
    optimizer: Adam, single: Single, parameters: Numbers, gradients: Numbers, moments: Moments
) -> tuple[Numbers, Moments]:
    """`descend` for active numbers of Adam in plain numbers.

    Returns:
        The parameters and the moments after the step.
    """
    kind, betas = single.kind, optimizer.betas
    kept = [kind(beta) for beta in betas]
    new = [kind(1 - beta) for beta in betas]
    epsilon, learning_rate = kind(optimizer.epsilon), kind(optimizer.learning_rate)
    after = Moments([[row[0] * betas[0], row[1] * betas[1]] for row in moments.powers], [], [])
    for gradient, first, second in zip(gradients, moments.first, moments.second, strict=True):
        gradient = kind(min(max(gradient, -_LARGEST), _LARGEST))
        after.first.append(first * kept[0] + gradient * new[0])
        after.second.append(second * kept[1] + gradient * gradient * new[1])

    # PyTorch's roots are not always the nearest numbers.
    corrections = [kind(1 - row[1]) for row in after.powers]
    roots = single.numbers(single.tensor(after.second + corrections).sqrt_())
    moved = []
    for index, parameter in enumerate(parameters):
        denominator = roots[index] / roots[len(parameters) + index] + epsilon
        rate = learning_rate / kind(1 - after.powers[index][0])
        moved.append(parameter - after.first[index] * rate / denominator)
    return moved, after
