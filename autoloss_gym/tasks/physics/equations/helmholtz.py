"""Helmholtz's equation on a square."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.tasks.physics.equations.equation import Condition, Equation, Problem
from autoloss_gym.tools.bounds import NonNegativeFloatRange, PositiveIntRange


@dataclass(frozen=True, kw_only=True)
class Helmholtz(Equation):
    """Δu + k²u = q on [−1, 1]², with u = 0 on the four sides.

    The source q is what makes sin(a₁πx) sin(a₂πy) the solution.

    Args:
        wavenumber: k.
        waves: a₁ and a₂, each drawn for itself.
    """

    names: ClassVar[tuple[str, ...]] = ("x", "y")
    low: ClassVar[tuple[float, ...]] = (-1.0, -1.0)
    high: ClassVar[tuple[float, ...]] = (1.0, 1.0)
    curved: ClassVar[tuple[int, ...]] = (0, 1)
    conditions: ClassVar[tuple[str, ...]] = ("boundary",)
    grid: ClassVar[tuple[int, ...]] = (33, 33)

    wavenumber: NonNegativeFloatRange
    waves: PositiveIntRange

    def draw(self, keys: Int64[Tensor, " num_envs"]) -> dict[str, Tensor]:
        drawn = {"wavenumber": random.ranged(random.fold_in(keys, "wavenumber"), self.wavenumber)}
        for name in ("waves x", "waves y"):
            stream = random.fold_in(keys, name)
            drawn[name] = random.ranged_integers(stream, self.waves).to(torch.float32)
        return {name: numbers[:, None] for name, numbers in drawn.items()}

    def solution(
        self, problem: Problem, points: Float[Tensor, "num_envs count 2"]
    ) -> Float[Tensor, "num_envs count"]:
        across = torch.sin(problem["waves x"] * math.pi * points[:, :, 0])
        return across * torch.sin(problem["waves y"] * math.pi * points[:, :, 1])

    def residual(self, problem: Problem, points: Float[Tensor, "num_envs count 2"]) -> Condition:
        squared = problem["wavenumber"].square()
        rates = problem["waves x"].square() + problem["waves y"].square()
        source = (squared - rates * math.pi**2) * self.solution(problem, points)
        none = torch.zeros_like(squared)
        coefficients = torch.stack([squared, none, none, torch.ones_like(squared)], dim=1)
        return Condition(points, source, coefficients)

    def condition(
        self, name: str, problem: Problem, keys: Int64[Tensor, " num_envs"], count: int
    ) -> Condition:
        along = random.uniform(random.fold_in(keys, "along"), (count,), -1.0, 1.0)
        side = random.integers(random.fold_in(keys, "side"), (count,), 4)
        across = (side % 2 * 2 - 1).to(torch.float32)
        upright = side >= 2
        pair = [torch.where(upright, across, along), torch.where(upright, along, across)]
        return Condition(torch.stack(pair, dim=2), torch.zeros_like(along))
