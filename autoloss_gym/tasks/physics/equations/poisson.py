"""Poisson's equation in one dimension."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.tasks.physics.equations.equation import Condition, Equation, Problem
from autoloss_gym.tools.bounds import PositiveInt


@dataclass(frozen=True, kw_only=True)
class Poisson(Equation):
    """−u″ = f for x in [0, 1], with known values at both ends.

    The source f and the solution are sums of sines; that of order k has a normal amplitude in the
    solution with deviation 1/k.

    Args:
        modes: orders of the sines, from 1 on.
    """

    names: ClassVar[tuple[str, ...]] = ("x",)
    low: ClassVar[tuple[float, ...]] = (0.0,)
    high: ClassVar[tuple[float, ...]] = (1.0,)
    curved: ClassVar[tuple[int, ...]] = (0,)
    conditions: ClassVar[tuple[str, ...]] = ("boundary",)
    grid: ClassVar[tuple[int, ...]] = (101,)

    modes: PositiveInt

    def draw(self, keys: Int64[Tensor, " num_envs"]) -> dict[str, Tensor]:
        waves = random.normal(random.fold_in(keys, "waves"), (self.modes,))
        orders = torch.arange(1, self.modes + 1, dtype=torch.float32, device=keys.device)
        ends = random.uniform(random.fold_in(keys, "ends"), (2,), -1.0, 1.0)
        return {"waves": waves / orders, "ends": ends}

    def solution(
        self, problem: Problem, points: Float[Tensor, "num_envs count 1"]
    ) -> Float[Tensor, "num_envs count"]:
        place = points[:, :, 0]
        left, right = problem["ends"].split(1, dim=1)
        return self._waves(problem, place, curved=False) + left * (1 - place) + right * place

    def residual(self, problem: Problem, points: Float[Tensor, "num_envs count 1"]) -> Condition:
        source = self._waves(problem, points[:, :, 0], curved=True)
        signs = torch.zeros(3, dtype=torch.float32, device=source.device)
        signs[2] = -1.0
        return Condition(points, source, signs[:, None].expand(len(source), 3, 1))

    def condition(
        self, name: str, problem: Problem, keys: Int64[Tensor, " num_envs"], count: int
    ) -> Condition:
        places = torch.arange(2, dtype=torch.float32, device=keys.device)
        return Condition(places[:, None].expand(len(keys), 2, 1), problem["ends"])

    def _waves(self, problem: Problem, place: Tensor, *, curved: bool) -> Tensor:
        """The sines at `place` (num_envs, count), or with `curved` their −u″."""
        total = torch.zeros_like(place)
        for index in range(self.modes):
            rate = (index + 1) * math.pi
            wave = torch.sin(rate * place) * problem["waves"][:, index, None]
            total = total + (wave * rate**2 if curved else wave)
        return total
