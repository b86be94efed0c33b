"""Physics-informed networks (Raissi, Perdikaris, Karniadakis 2019)."""

import functools
import math
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.loss import ClosedForm, Loss
from autoloss_gym.core.task import Keys, Metric, Pair
from autoloss_gym.networks.activations import ACTIVATIONS
from autoloss_gym.networks.perceptron import initial_weight
from autoloss_gym.optimizers import Adam, Optimizer
from autoloss_gym.tasks.physics.equations.burgers import Burgers
from autoloss_gym.tasks.physics.equations.equation import Condition, Equation
from autoloss_gym.tasks.physics.equations.helmholtz import Helmholtz
from autoloss_gym.tasks.physics.equations.oscillator import Oscillator
from autoloss_gym.tasks.physics.equations.poisson import Poisson
from autoloss_gym.tasks.physics.presets import BURGERS, HELMHOLTZ, OSCILLATOR, POISSON
from autoloss_gym.tasks.physics.residuals import Residuals
from autoloss_gym.tools.bounds import (
    NonNegativeFloatRange,
    NonNegativeInt,
    PositiveFloat,
    PositiveFloatRange,
    PositiveInt,
    PositiveIntRange,
    Units,
    at_least,
)
from autoloss_gym.tools.names import shown, unknown
from autoloss_gym.tools.tree import Parameters

EQUATIONS: dict[str, type[Equation]] = {
    "oscillator": Oscillator,
    "poisson": Poisson,
    "burgers": Burgers,
    "helmholtz": Helmholtz,
}
_WORST = 10.0


@dataclass(frozen=True, kw_only=True)
class PINN(GradientTask):
    """TODO"""

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "oscillator": OSCILLATOR,
        "poisson": POISSON,
        "burgers": BURGERS,
        "helmholtz": HELMHOLTZ,
    }
    validation_metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("held_out_error", worst=100.0),
        Metric("physics_error", worst=1e6),
    )
    score_metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("relative_l2_error", worst=_WORST),
        Metric("relative_max_error", worst=_WORST),
    )

    equation: str = "oscillator"
    frequency: PositiveFloatRange = (6.0, 12.0)
    damping: NonNegativeFloatRange = (0.5, 3.0)
    modes: PositiveInt = 4
    viscosity: PositiveFloatRange = (0.02, 0.1)
    amplitude: PositiveFloatRange = (0.5, 1.0)
    wavenumber: NonNegativeFloatRange = (0.5, 2.0)
    waves: PositiveIntRange = (1, 2)
    num_points: PositiveInt = 64
    num_condition_points: PositiveInt = 16
    num_readings: NonNegativeInt = 8
    num_held_out: PositiveInt = 16
    noise: NonNegativeFloatRange = (0.01, 0.1)
    hidden_sizes: tuple[Units, ...] = (32, 32)
    activation: str = "tanh"
    first_scale: PositiveFloat = 2.0
    max_steps: PositiveInt = 1000
    validate_every: PositiveInt = 20
    optimizer: Optimizer = field(default_factory=lambda: Adam(learning_rate=1e-2))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.equation not in EQUATIONS:
            raise ValueError(unknown("equation", self.equation, tuple(EQUATIONS)))
        if self.activation not in ACTIVATIONS:
            raise ValueError(unknown("activation", self.activation, ACTIVATIONS))
        if not self.hidden_sizes:
            raise ValueError(
                "hidden_sizes=(): expected at least one layer, because a network without one is a "
                "straight line"
            )
        self.physics  # noqa: B018 (checks the numbers of the equation)

    @functools.cached_property
    def physics(self) -> Equation:
        """The equation with the ranges of its numbers."""
        chosen = EQUATIONS[self.equation]
        names = [each.name for each in fields(chosen)]
        return chosen(**{name: getattr(self, name) for name in names})

    @functools.cached_property
    def pairs(self) -> tuple[Pair, ...]:
        data = ("data",) if self.num_readings else ()
        names = ("residual", *self.physics.conditions, *data)
        return tuple(Pair(name, ("network",)) for name in names)

    def make_data(self, keys: Keys) -> dict[str, Any]:
        physics = self.physics
        problem = physics.draw(keys.problem)
        count = self.num_readings + self.num_held_out
        places = physics.inside(random.fold_in(keys.problem, "readings"), count)
        grid = physics.everywhere(keys.problem.device)
        points = torch.cat([places, grid.expand(len(places), *grid.shape)], dim=1)
        exact, truth = physics.solution(problem, points).split([count, len(grid)], dim=1)

        # Noise is a share of the solution's own size.
        share = random.ranged(random.fold_in(keys.problem, "noise"), self.noise)[:, None]
        size = torch.sqrt(truth.square().mean(1, keepdim=True))
        draws = random.normal(random.fold_in(keys.problem, "errors"), (count,))
        readings = exact + share * size * draws
        held_out = random.fold_in(keys.problem, "held out")
        return {
            "problem": problem,
            "training": _part(places, readings, 0, self.num_readings),
            "validation": _part(places, readings, self.num_readings, count),
            "physics": self._drawn(problem, held_out),
            "truth": truth,
        }

    def initial_parameters(self, keys: Keys) -> dict[str, Any]:
        network: dict[str, Tensor] = {}
        sizes = (len(self.physics.low), *self.hidden_sizes, 1)
        for index, (inputs, outputs) in enumerate(pairwise(sizes)):
            stream = random.fold_in(keys.run, f"layer {index}")
            deviation = self.first_scale if index == 0 else math.sqrt(1 / inputs)
            network[f"weight_{index}"] = initial_weight(stream, inputs, outputs, deviation)
            low = -self.first_scale if index == 0 else 0.0
            bias = random.uniform(random.fold_in(stream, "bias"), (outputs,), low, -low)
            network[f"bias_{index}"] = bias if index == 0 else torch.zeros_like(bias)
        return {"network": network}

    def batch(self, data: Any, keys: Int64[Tensor, " num_envs"]) -> dict[str, Condition]:
        drawn = self._drawn(data["problem"], keys)
        if self.num_readings:
            drawn["data"] = data["training"]
        return drawn

    def _drawn(
        self, problem: dict[str, Tensor], keys: Int64[Tensor, " num_envs"]
    ) -> dict[str, Condition]:
        """The equation and its conditions at points drawn from the keys."""
        inside = self.physics.inside(random.fold_in(keys, "inside"), self.num_points)
        drawn = {"residual": self.physics.residual(problem, inside)}
        for name in self.physics.conditions:
            stream = random.fold_in(keys, name)
            count = self.num_condition_points
            drawn[name] = self.physics.condition(name, problem, stream, count)
        return drawn

    @functools.cached_property
    def _residuals(self) -> Residuals:
        return Residuals(self.physics, self.activation)

    def losses(self) -> dict[str, Loss]:
        return {pair.loss: self._loss(pair.loss) for pair in self.pairs}

    def _loss(self, name: str) -> ClosedForm:
        residuals = self._residuals
        return ClosedForm(
            lambda parameters, batch: residuals.loss(parameters, batch[name]),
            lambda parameters, batch: residuals.loss_and_gradient(parameters, batch[name]),
        )

    def residuals(
        self, parameters: Parameters, batch: dict[str, Condition]
    ) -> dict[str, Float[Tensor, "num_envs points"]]:
        """By loss, the residuals whose mean square it is."""
        network = parameters["network"]
        return {pair.loss: self._residuals.of(network, batch[pair.loss]) for pair in self.pairs}

    def validation_values(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs 2"]:
        held_out = self._residuals.loss(parameters, data["validation"])
        parts = [self._residuals.loss(parameters, part) for part in data["physics"].values()]
        return torch.stack([held_out, sum(parts[1:], parts[0])], dim=1)

    def score_values(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs 2"]:
        truth = data["truth"]
        error = self._on_grid(parameters) - truth
        squares = error.square().sum(1) / truth.square().sum(1)
        greatest = error.abs().amax(1) / truth.abs().amax(1)
        return torch.stack([torch.sqrt(squares), greatest], dim=1).clamp(max=_WORST)

    def _on_grid(self, parameters: Parameters) -> Float[Tensor, "num_envs count"]:
        """The networks at the points of the test."""
        network = parameters["network"]
        grid = self.physics.everywhere(network["bias_0"].device)
        return self._residuals.values(network, grid.expand(len(network["bias_0"]), *grid.shape))


def _part(points: Tensor, readings: Tensor, first: int, last: int) -> Condition:
    """The readings `first` … `last` − 1 as values that the network is to have."""
    return Condition(points[:, first:last], readings[:, first:last])
