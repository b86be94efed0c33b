"""The viscous equation of Burgers."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.tasks.physics.equations.equation import Condition, Equation, Problem
from autoloss_gym.tools.bounds import PositiveFloatRange, both_ends

_STEP = 0.15  # between two nodes, in units of √(4νt)
_TAIL = 6.0  # exp(−6²) is below 1e-15
_NUMBERS = 2**18  # integrands that are computed at once


@dataclass(frozen=True, kw_only=True)
class Burgers(Equation):
    """u_t + u u_x = ν u_xx for t in [0, 1] and x in [−1, 1], from −a sin(πx), with u(t, ±1) = 0.

    Args:
        viscosity: ν, drawn log-uniformly.
        amplitude: a.
    """

    names: ClassVar[tuple[str, ...]] = ("t", "x")
    low: ClassVar[tuple[float, ...]] = (0.0, -1.0)
    high: ClassVar[tuple[float, ...]] = (1.0, 1.0)
    curved: ClassVar[tuple[int, ...]] = (1,)
    advected: ClassVar[int] = 1
    conditions: ClassVar[tuple[str, ...]] = ("initial", "boundary")
    grid: ClassVar[tuple[int, ...]] = (17, 49)

    viscosity: PositiveFloatRange
    amplitude: PositiveFloatRange

    def draw(self, keys: Int64[Tensor, " num_envs"]) -> dict[str, Tensor]:
        viscosity = random.fold_in(keys, "viscosity")
        amplitude = random.fold_in(keys, "amplitude")
        return {
            "viscosity": random.ranged(viscosity, self.viscosity, logarithmic=True)[:, None],
            "amplitude": random.ranged(amplitude, self.amplitude)[:, None],
        }

    def solution(
        self, problem: Problem, points: Float[Tensor, "num_envs count 2"]
    ) -> Float[Tensor, "num_envs count"]:
        """By the transformation of Cole and Hopf, whose two integrals the trapezoidal rule finds.

        u(t, x) = −a ∫ sin(π(x − η)) w dη / ∫ w dη with w = exp(−η² / 4νt − a cos(π(x − η)) / 2πν)
        (Cole 1951; Basdevant et al. 1986). With η = z √(4νt), the integrand is smooth in z and
        vanishes beyond |z| = √(a / πν) + 6: the rule converges faster than any power of its step.
        """
        viscosity, amplitude = (
            problem[name].to(torch.float64)[:, :, None] for name in ("viscosity", "amplitude")
        )
        nodes = self._nodes(points.device)
        size = max(1, _NUMBERS // (len(points) * len(nodes)))
        parts = []
        for piece in points.to(torch.float64).split(size, dim=1):
            time, place = piece.unbind(2)
            spread = torch.sqrt(4 * viscosity * time[:, :, None])
            angle = math.pi * (place[:, :, None] - spread * nodes)
            exponent = -nodes * nodes - torch.cos(angle) * amplitude / (2 * math.pi * viscosity)
            weight = torch.exp(exponent - exponent.amax(dim=2, keepdim=True))
            parts.append((torch.sin(angle) * weight).sum(2) / weight.sum(2))
        ratio = torch.cat(parts, dim=1)
        return (-amplitude[:, :, 0] * ratio).to(points.dtype)

    def _nodes(self, device: torch.device) -> Tensor:
        """Places z of the trapezoidal rule, enough for any problem of the family."""
        sharpest = both_ends(self.amplitude)[1] / both_ends(self.viscosity)[0]
        reach = math.sqrt(sharpest / math.pi) + _TAIL
        count = math.ceil(reach / _STEP)
        return torch.arange(-count, count + 1, dtype=torch.float64, device=device) * _STEP

    def residual(self, problem: Problem, points: Float[Tensor, "num_envs count 2"]) -> Condition:
        viscosity = problem["viscosity"]
        one = torch.ones_like(viscosity)
        none = torch.zeros_like(viscosity)
        coefficients = torch.stack([none, one, none, -viscosity], dim=1)
        return Condition(points, torch.zeros_like(points[:, :, 0]), coefficients, one)

    def condition(
        self, name: str, problem: Problem, keys: Int64[Tensor, " num_envs"], count: int
    ) -> Condition:
        if name == "initial":
            place = random.uniform(keys, (count,), -1.0, 1.0)
            target = -problem["amplitude"] * torch.sin(math.pi * place)
            return Condition(torch.stack([torch.zeros_like(place), place], dim=2), target)
        time = random.uniform(random.fold_in(keys, "time"), (count,))
        side = random.integers(random.fold_in(keys, "side"), (count,), 2) * 2.0 - 1.0
        return Condition(torch.stack([time, side], dim=2), torch.zeros_like(time))
