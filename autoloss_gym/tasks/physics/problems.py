"""The data of physics-informed networks: readings to train on and to judge by, and fresh points."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.tasks.physics.equations.burgers import Burgers
from autoloss_gym.tasks.physics.equations.equation import Condition, Equation, Problem
from autoloss_gym.tasks.physics.equations.helmholtz import Helmholtz
from autoloss_gym.tasks.physics.equations.oscillator import Oscillator
from autoloss_gym.tasks.physics.equations.poisson import Poisson
from autoloss_gym.tools.bounds import FloatRange

EQUATIONS: dict[str, type[Equation]] = {
    "oscillator": Oscillator,
    "poisson": Poisson,
    "burgers": Burgers,
    "helmholtz": Helmholtz,
}


@dataclass(frozen=True, kw_only=True)
class PhysicsProblems:
    """Problems of one equation.

    Args:
        equation: with the ranges of its numbers.
        num_points, num_condition_points: of a step, inside the domain and of each condition.
        num_readings, num_held_out: readings for training and for validation.
        noise: deviation of a reading's error in units of the solution's root mean square, or a
            range from which each problem draws its own.
    """

    equation: Equation
    num_points: int
    num_condition_points: int
    num_readings: int
    num_held_out: int
    noise: FloatRange

    @property
    def losses(self) -> tuple[str, ...]:
        """Names of the losses."""
        data = ("data",) if self.num_readings else ()
        return ("residual", *self.equation.conditions, *data)

    @property
    def weight_groups(self) -> tuple[tuple[str, ...], ...]:
        """Losses that a grid weighs together: all conditions as one."""
        data = (("data",),) if self.num_readings else ()
        return (("residual",), self.equation.conditions, *data)

    def data(self, keys: Int64[Tensor, " num_envs"]) -> dict[str, Any]:
        """Numbers of the problem, readings, held-out points and the solution on the grid."""
        equation = self.equation
        problem = equation.draw(keys)
        count = self.num_readings + self.num_held_out
        places = equation.inside(random.fold_in(keys, "readings"), count)
        grid = equation.everywhere(keys.device)
        points = torch.cat([places, grid.expand(len(places), *grid.shape)], dim=1)
        exact, truth = equation.solution(problem, points).split([count, len(grid)], dim=1)

        share = random.ranged(random.fold_in(keys, "noise"), self.noise)[:, None]
        size = torch.sqrt(truth.square().mean(1, keepdim=True))
        readings = exact + share * size * random.normal(random.fold_in(keys, "errors"), (count,))
        return {
            "problem": problem,
            "training": _part(places, readings, 0, self.num_readings),
            "validation": _part(places, readings, self.num_readings, count),
            "held_out": self.drawn(problem, random.fold_in(keys, "held out")),
            "truth": truth,
        }

    def draws(self, data: Any, keys: Int64[Tensor, " rows"]) -> dict[str, Condition]:
        """What losses of some steps of the runs see at points that the keys draw.

        Args:
            data: of the runs.
            keys: of steps, those of all runs at one step after another.
        """
        problem = data["problem"]
        times = len(keys) // len(next(iter(problem.values())))
        repeated = {name: numbers.repeat(times, 1) for name, numbers in problem.items()}
        return self.drawn(repeated, keys)

    def batch_of(self, data: Any, draws: dict[str, Condition]) -> dict[str, Condition]:
        """What each loss of a step sees."""
        return {**draws, "data": data["training"]} if self.num_readings else draws

    def drawn(self, problem: Problem, keys: Int64[Tensor, " num_envs"]) -> dict[str, Condition]:
        """The equation and its conditions, at points drawn from the keys."""
        inside = self.equation.inside(random.fold_in(keys, "inside"), self.num_points)
        drawn = {"residual": self.equation.residual(problem, inside)}
        for name in self.equation.conditions:
            stream = random.fold_in(keys, name)
            drawn[name] = self.equation.condition(name, problem, stream, self.num_condition_points)
        return drawn


def _part(
    points: Float[Tensor, "num_envs count dimensions"],
    readings: Float[Tensor, "num_envs count"],
    first: int,
    last: int,
) -> Condition:
    """The readings `first` … `last` − 1 as values that the network is to have."""
    return Condition(points[:, first:last], readings[:, first:last])
