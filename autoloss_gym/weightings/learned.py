"""One step of an optimizer on numbers that a rule learns."""

from dataclasses import dataclass
from operator import add, mul, sub, truediv
from typing import Any

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from autoloss_gym.optimizers import Adam, Optimizer, OptimizerState
from autoloss_gym.tools import tree
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


def start_each(
    optimizer: Optimizer, losses: Float[Tensor, "num_envs losses"]
) -> dict[str, Shaped[Tensor, "num_envs losses ..."]]:
    """State of an optimizer of one number a loss, each of which steps for itself."""
    rows = optimizer.init(losses.new_zeros(losses.numel(), 1))
    return tree.map_tensors(lambda leaf: leaf.unflatten(0, losses.shape), rows)


def descend_each(
    optimizer: Optimizer,
    numbers: Float[Tensor, "num_envs losses"],
    gradients: Float[Tensor, "num_envs losses"],
    state: dict[str, Shaped[Tensor, "num_envs losses ..."]],
    active: Bool[Tensor, "num_envs losses"],
) -> None:
    """One step, in place, of the numbers that are `active` and whose gradients are not NaN."""
    # Views of the state, into which the optimizer writes; a row is one loss of one run.
    rows = tree.map_tensors(lambda leaf: leaf.flatten(0, 1), state)
    parts = numbers.view(-1, 1), gradients.reshape(-1, 1)
    descend(optimizer, *parts, rows, active.flatten())


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


def descend_each_one(
    optimizer: Adam, single: Single, numbers: Numbers, gradients: Numbers, kept: dict[str, Any]
) -> tuple[Numbers, dict[str, Any]]:
    """`descend_each` for active numbers of Adam in plain numbers.

    Returns:
        The numbers and the state of their optimizer after the step.
    """
    first = [row[0] for row in kept["first_moment"]]
    second = [row[0] for row in kept["second_moment"]]
    moments = Moments(kept["powers"], first, second)
    moved, moments = descend_one(optimizer, single, numbers, gradients, moments)
    return moved, {
        "steps": [count + 1 for count in kept["steps"]],
        "powers": moments.powers,
        "first_moment": [[moment] for moment in moments.first],
        "second_moment": [[moment] for moment in moments.second],
    }


def descend_row_one(
    optimizer: Adam, single: Single, numbers: Numbers, gradients: Numbers, kept: dict[str, Any]
) -> tuple[Numbers, dict[str, Any]]:
    """`descend` for one active run of Adam in plain numbers, whose numbers step together.

    Returns:
        The numbers and the state of their optimizer after the step.
    """
    powers = [kept["powers"]] * len(numbers)
    moments = Moments(powers, kept["first_moment"], kept["second_moment"])
    moved, moments = descend_one(optimizer, single, numbers, gradients, moments)
    return moved, {
        "steps": kept["steps"] + 1,
        "powers": moments.powers[0],
        "first_moment": moments.first,
        "second_moment": moments.second,
    }
