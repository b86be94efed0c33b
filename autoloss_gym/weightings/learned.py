"""One step of an optimizer on numbers that a rule learns."""

from dataclasses import dataclass
from operator import add, mul, sub, truediv

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
    each, count = single.each, len(parameters)
    (kept, kept_squares), new = optimizer.betas, [1 - beta for beta in optimizer.betas]
    gradients = single.rounded([min(max(number, -_LARGEST), _LARGEST) for number in gradients])
    powers = [[row[0] * kept, row[1] * kept_squares] for row in moments.powers]
    kept, kept_squares, new_gradient, new_square, epsilon, learning_rate = single.rounded(
        (kept, kept_squares, *new, optimizer.epsilon, optimizer.learning_rate)
    )
    squares = each(mul, gradients, gradients)
    first = each(add, each(mul, moments.first, kept), each(mul, gradients, new_gradient))
    second = each(add, each(mul, moments.second, kept_squares), each(mul, squares, new_square))

    # PyTorch's roots are not always the nearest numbers.
    corrections = single.rounded([1 - row[1] for row in powers])
    roots = single.tensor(second + corrections).sqrt_().tolist()
    denominators = each(add, each(truediv, roots[:count], roots[count:]), epsilon)
    rates = each(truediv, [learning_rate] * count, single.rounded([1 - row[0] for row in powers]))
    steps = each(truediv, each(mul, first, rates), denominators)
    return each(sub, parameters, steps), Moments(powers, first, second)
