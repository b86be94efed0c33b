"""What an equation is: a family of problems with known solutions, on a box of space and time."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random

# Numbers of each problem by name, each (num_envs, 1) unless its equation says otherwise.
Problem = Mapping[str, Float[Tensor, "num_envs _"]]


@dataclass(frozen=True)
class Condition:
    """What the solution is to satisfy at some points: Σ coefficient · derivative = target.

    Args:
        points: where.
        target: right-hand side.
        coefficients: of value, first derivatives and curvature; None for the value alone.
        advection: factor of the further term u · ∂u by dimension `Equation.advected`; None for 0.
    """

    points: Float[Tensor, "num_envs count dimensions"]
    target: Float[Tensor, "num_envs count"]
    coefficients: Float[Tensor, "num_envs streams _"] | None = None
    advection: Float[Tensor, "num_envs 1"] | None = None


@dataclass(frozen=True, kw_only=True)
class Equation(ABC):
    """A partial or ordinary differential equation whose numbers differ from problem to problem."""

    names: ClassVar[tuple[str, ...]]  # of the dimensions
    low: ClassVar[tuple[float, ...]]  # corners of the domain
    high: ClassVar[tuple[float, ...]]
    curved: ClassVar[tuple[int, ...]]  # dimensions whose second derivatives occur, summed
    advected: ClassVar[int] = 0
    conditions: ClassVar[tuple[str, ...]]  # losses beside the residual
    grid: ClassVar[tuple[int, ...]]  # points of the test, by dimension

    @abstractmethod
    def draw(self, keys: Int64[Tensor, " num_envs"]) -> dict[str, Tensor]:
        """Numbers of each problem."""

    @abstractmethod
    def solution(
        self, problem: Problem, points: Float[Tensor, "num_envs count dimensions"]
    ) -> Float[Tensor, "num_envs count"]:
        """The exact solution at `points`, in their dtype."""

    @abstractmethod
    def residual(
        self, problem: Problem, points: Float[Tensor, "num_envs count dimensions"]
    ) -> Condition:
        """The equation itself at `points` of the inside."""

    @abstractmethod
    def condition(
        self, name: str, problem: Problem, keys: Int64[Tensor, " num_envs"], count: int
    ) -> Condition:
        """One of `conditions`, at points drawn from `keys` where there is a choice."""

    def inside(
        self, keys: Int64[Tensor, " num_envs"], count: int
    ) -> Float[Tensor, "num_envs count dimensions"]:
        """Points drawn uniformly from the domain."""
        columns = []
        units = random.uniform(keys, (len(self.low), count))
        for index, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            columns.append(units[:, index] * (high - low) + low)
        return torch.stack(columns, dim=2)

    def everywhere(self, device: torch.device) -> Float[Tensor, "count dimensions"]:
        """The grid of the test, the last dimension first to change."""
        axes = []
        for low, high, count in zip(self.low, self.high, self.grid, strict=True):
            axes.append(torch.linspace(low, high, count, dtype=torch.float32, device=device))
        return torch.stack([axis.flatten() for axis in torch.meshgrid(*axes, indexing="ij")], dim=1)
