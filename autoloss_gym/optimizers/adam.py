"""Adam."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.optimizers.optimizer import Optimizer, OptimizerState
from autoloss_gym.tools.bounds import BelowOne, NonNegativeFloat
from autoloss_gym.tools.compiling import graph_constant, is_eager_on_cpu

# Numbers that are updated together on the CPU: more would leave its caches between the operations.
_PIECE = 131_072


@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Adam (Kingma, Ba: "Adam: a method for stochastic optimization", ICLR 2015, Algorithm 1)."""

    betas: tuple[BelowOne, BelowOne] = (0.9, 0.999)
    epsilon: NonNegativeFloat = 1e-8

    def init(self, parameters: Float[Tensor, "num_envs size"]) -> OptimizerState:
        runs = len(parameters)
        return {
            "steps": parameters.new_zeros(runs, dtype=torch.int64),
            # β₁ᵗ and β₂ᵗ as running products, because the bits of pow depend on the batch. They
            # are float64: in float32 1 − β₂ᵗ would lose three of seven digits at the first step.
            "powers": parameters.new_ones(runs, 2, dtype=torch.float64),
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

        if is_eager_on_cpu(active) and bool(active.all()):
            kept_1, kept_2, new_1, new_2, epsilon = taken.unbind()
            powers = state["powers"].mul_(betas)
            corrections = (1 - powers).to(parameters.dtype)
        else:
            # One selection of a row of numbers a run makes idle runs stand still: they keep all of
            # their moments, take in nothing, and divide the step by an infinite bias correction.
            numbers = torch.where(active, taken, idle)
            kept_1, kept_2, new_1, new_2, epsilon = numbers.chunk(5, dim=1)
            powers = state["powers"].mul_(torch.where(active, betas, ones))
            corrections = torch.where(active, 1 - powers, idle_corrections).to(parameters.dtype)
        correction_1, correction_2 = corrections.chunk(2, dim=1)

        rate = (self.learning_rate * step_size)[:, None] / correction_1
        root = torch.sqrt(correction_2)
        factors = (kept_1, new_1, kept_2, new_2, rate, root, epsilon)
        changed = (parameters, gradients, state["first_moment"], state["second_moment"])
        pieces = _pieces(parameters, active)
        if pieces is None:
            _step(*changed, *factors)
            return
        for rows, columns in pieces:
            _step(
                *(tensor[rows, columns] for tensor in changed),
                *(factor[rows] if factor.dim() else factor for factor in factors),
            )


def _step(
    parameters: Tensor,
    gradients: Tensor,
    moment: Tensor,
    variance: Tensor,
    kept_1: Tensor,
    new_1: Tensor,
    kept_2: Tensor,
    new_2: Tensor,
    rate: Tensor,
    root: Tensor,
    epsilon: Tensor,
) -> None:
    """Moves parameters and moments (runs, size) in place, with a factor () or (runs, 1) of each
    kind.
    """
    # Products and sums apart: addcmul and lerp may fuse them, and then round differently.
    moment.mul_(kept_1).add_(gradients * new_1)
    variance.mul_(kept_2).add_((gradients * gradients).mul_(new_2))
    if variance.requires_grad:
        denominator = (_square_root(variance) / root).add_(epsilon)
    else:
        denominator = torch.sqrt(variance).div_(root).add_(epsilon)
    parameters.sub_((moment * rate).div_(denominator))


def _pieces(
    parameters: Float[Tensor, "num_envs size"], active: Bool[Tensor, "num_envs 1"]
) -> list[tuple[slice, slice]] | None:
    """Rows and columns that are updated together: some runs, or where one alone is large, a part of
    one that is not idle.

    None stands for everything at once. The numbers are the same in any pieces.
    """
    num_envs, size = parameters.shape
    small = num_envs * size <= _PIECE or not is_eager_on_cpu(parameters)
    if small or parameters.requires_grad:
        return None
    at_once = _PIECE // size
    if at_once > 1:
        return [(slice(row, row + at_once), slice(None)) for row in range(0, num_envs, at_once)]
    rows = active[:, 0].nonzero()[:, 0].tolist()
    columns = [slice(first, first + _PIECE) for first in range(0, size, _PIECE)]
    return [(slice(row, row + 1), part) for row in rows for part in columns]


@graph_constant()
def _constants(
    betas: tuple[float, float], epsilon: float, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, ...]:
    """Rows of numbers for the runs that take a step, and for those that nothing may change.

    Returns:
        β₁, β₂, 1 − β₁, 1 − β₂ and ε; their values for idle runs; the betas; their values for idle
        runs; the bias corrections of idle runs.
    """
    first, second = betas
    return (
        torch.tensor((first, second, 1 - first, 1 - second, epsilon), device=device, dtype=dtype),
        torch.tensor((1.0, 1.0, 0.0, 0.0, 1.0), device=device, dtype=dtype),
        torch.tensor(betas, device=device, dtype=torch.float64),
        torch.tensor((1.0, 1.0), device=device, dtype=torch.float64),
        torch.tensor((float("inf"), 1.0), device=device, dtype=torch.float64),
    )


def _square_root(values: Tensor) -> Tensor:
    """√values, with gradient 0 instead of infinity at 0.

    A coordinate whose gradients have always been 0 has this value.
    """
    positive = values > 0
    return torch.where(positive, torch.sqrt(torch.where(positive, values, 1.0)), 0.0)
