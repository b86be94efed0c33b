"""A damped oscillator."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.tasks.physics.equations.equation import Condition, Equation, Problem
from autoloss_gym.tools.bounds import NonNegativeFloatRange, PositiveFloatRange, both_ends


@dataclass(frozen=True, kw_only=True)
class Oscillator(Equation):
    """u″ + 2δu′ + ω²u = 0 for t in [0, 1], from a position and a velocity.

    Args:
        frequency: ω.
        damping: δ, below ω.
    """

    names: ClassVar[tuple[str, ...]] = ("t",)
    low: ClassVar[tuple[float, ...]] = (0.0,)
    high: ClassVar[tuple[float, ...]] = (1.0,)
    curved: ClassVar[tuple[int, ...]] = (0,)
    conditions: ClassVar[tuple[str, ...]] = ("initial",)
    grid: ClassVar[tuple[int, ...]] = (101,)

    frequency: PositiveFloatRange
    damping: NonNegativeFloatRange

    def __post_init__(self) -> None:
        if both_ends(self.damping)[1] >= both_ends(self.frequency)[0]:
            raise ValueError(
                f"damping={self.damping}, frequency={self.frequency}: expected a damping below the "
                "lowest frequency, because the solution is an oscillation"
            )

    def draw(self, keys: Int64[Tensor, " num_envs"]) -> dict[str, Tensor]:
        sign = random.integers(random.fold_in(keys, "sign"), (1,), 2) * 2 - 1
        frequency = random.ranged(random.fold_in(keys, "frequency"), self.frequency)[:, None]
        speed = random.uniform(random.fold_in(keys, "velocity"), (1,), -0.5, 0.5)
        return {
            "frequency": frequency,
            "damping": random.ranged(random.fold_in(keys, "damping"), self.damping)[:, None],
            "position": random.uniform(random.fold_in(keys, "position"), (1,), 0.5, 1.0) * sign,
            "velocity": speed * frequency,
        }

    def solution(
        self, problem: Problem, points: Float[Tensor, "num_envs count 1"]
    ) -> Float[Tensor, "num_envs count"]:
        numbers = {name: value.to(torch.float64) for name, value in problem.items()}
        damping, position = numbers["damping"], numbers["position"]
        frequency = torch.sqrt(numbers["frequency"].square() - damping.square())
        sine = (numbers["velocity"] + damping * position) / frequency
        time = points[:, :, 0].to(torch.float64)
        wave = position * torch.cos(frequency * time) + sine * torch.sin(frequency * time)
        return (torch.exp(-damping * time) * wave).to(points.dtype)

    def residual(self, problem: Problem, points: Float[Tensor, "num_envs count 1"]) -> Condition:
        squared = problem["frequency"].square()
        terms = [squared, 2 * problem["damping"], torch.ones_like(squared)]
        coefficients = torch.stack(terms, dim=1)
        return Condition(points, torch.zeros_like(points[:, :, 0]), coefficients)

    def condition(
        self, name: str, problem: Problem, keys: Int64[Tensor, " num_envs"], count: int
    ) -> Condition:
        target = torch.cat([problem["position"], problem["velocity"]], dim=1)
        # The first of two points at time 0 is told its value, the second its slope.
        both = torch.eye(3, 2, dtype=torch.float32, device=keys.device)
        return Condition(torch.zeros_like(target)[:, :, None], target, both.expand(len(keys), 3, 2))
