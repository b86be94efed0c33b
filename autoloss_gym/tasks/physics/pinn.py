"""Physics-informed networks (Raissi, Perdikaris, Karniadakis 2019)."""

import functools
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym.core.draws import DrawsAhead
from autoloss_gym.core.field_task import Field, FieldTask
from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.loss import ClosedForm, Loss
from autoloss_gym.core.task import Keys, Metric, Pair, State
from autoloss_gym.networks.activations import ACTIVATIONS
from autoloss_gym.optimizers import Adam, Optimizer
from autoloss_gym.tasks.physics.equations.equation import Condition, Equation
from autoloss_gym.tasks.physics.presets import BURGERS, HELMHOLTZ, OSCILLATOR, POISSON
from autoloss_gym.tasks.physics.problems import EQUATIONS, PhysicsProblems
from autoloss_gym.tasks.physics.residuals import Residuals, initial_network
from autoloss_gym.tools.bounds import (
    NonNegativeFloatRange,
    NonNegativeInt,
    PositiveFloat,
    PositiveFloatRange,
    PositiveInt,
    PositiveIntRange,
    Units,
)
from autoloss_gym.tools.names import unknown
from autoloss_gym.tools.tree import Parameters

_WORST = 10.0


@dataclass(frozen=True, kw_only=True)
class PINN(DrawsAhead, GradientTask, FieldTask):
    """How much an equation counts beside what is known: a physics-informed network.

    ## Description
    A network is trained to be the solution of an equation: on points inside the domain it is to
    satisfy the equation, at the start or on the boundary the conditions, and a few noisy readings
    of the solution. These losses have different units, and one that dwarfs the others lets the
    network forget them. Numbers of the equation differ from problem to problem, and nobody is told.

    ## Losses
    Each is a mean of squares and updates the whole network, through one shared Adam. `residual`:
    left-hand side minus right-hand side of the equation, at points drawn anew for each step.
    `initial`: difference to the known start; for the oscillator of position and velocity.
    `boundary`: difference to the known values on the boundary. `data`: difference to the readings.

    `oscillator` is u″ + 2δu′ + ω²u = 0 for t in [0, 1], with `residual`, `initial`, `data`;
    `poisson` −u″ = f for x in [0, 1], with `residual`, `boundary`, `data`; `burgers` u_t + u u_x =
    ν u_xx for t in [0, 1] and x in [−1, 1] from −a sin(πx), with `residual`, `initial`, `boundary`,
    `data`; `helmholtz` Δu + k²u = q on [−1, 1]², whose solution is sin(a₁πx) sin(a₂πy), with
    `residual`, `boundary`, `data`.

    ## Action Space
    `control="pair"`: Discrete with a step on one of the losses, in the order above, for each;
    `control="weights"`: Box(-1, 1) with as many entries.

    ## Observation Space
    Box, the feature groups of `autoloss_gym.signals.features.Features`.

    ## Rewards
    `shaped` (default) is the decrease of the log error on held-out readings since the last
    validation; see `autoloss_gym.signals.rewards` for the others.

    ## Starting State
    First weights normal with deviation `first_scale`, first biases uniform between ∓ `first_scale`,
    other weights normal with deviation 1 / √inputs, other biases 0. The first layer sees inputs
    scaled to [−1, 1]. A new problem (numbers of the equation, readings, noise) each episode; see
    `num_instances`.

    ## Episode End
    Terminates after `max_steps` updates, after `patience` validations without a new best, or when
    training diverges.

    ## Arguments
    equation: "oscillator", "poisson", "burgers" or "helmholtz".
    frequency, damping: ω and δ of the oscillator; δ is below ω.
    modes: sines of the solution of Poisson's equation, of orders from 1 on; that of order k has a
        normal amplitude with deviation 1 / k.
    viscosity, amplitude: ν, drawn log-uniformly, and a of Burgers' equation.
    wavenumber, waves: k of Helmholtz' equation, and a₁ and a₂, each drawn for itself.
    num_points: points inside the domain, drawn for each step.
    num_condition_points: points of the start and as many of the boundary, drawn for each step; the
        two ends in one dimension are always the same.
    num_readings: readings of the solution to train on; without any there is no loss `data`.
    num_held_out: readings for the validation.
    noise: its deviation in a reading, in units of the root mean square of the solution.
    hidden_sizes: units of the hidden layers.
    activation: "tanh", "sin" or "softplus".
    first_scale: of the first layer's weights and biases; greater ones make solutions with more
        waves easier to learn.
    optimizer, learning_rate_factor, clip_norm, max_steps, validate_every, patience,
        collapse_repeats, collapse_share: see `GradientTask` and `Task`.
    preset: the name of an equation, for it with settings that suit it.

    `frequency`, `damping`, `viscosity`, `amplitude`, `wavenumber`, `waves` and `noise` may be
    ranges (low, high), from which each problem draws its own number.

    The validation is what a user would have without the solution. `held_out_error`, the mean square
    of the difference to the held-out readings, decides which network is the best so far: it has the
    unit of the solution, where a sum over equation and conditions would itself need weights.
    `physics_error` is that sum, with equal weights, at points that are never trained on. The score
    is the relative error ‖û − u‖₂ / ‖u‖₂ on a grid (at most 10), u being the exact solution, of
    Burgers' equation by quadrature; `relative_max_error` is the same with greatest absolute values.

    ## References
    Raissi, Perdikaris, Karniadakis: "Physics-informed neural networks", Journal of Computational
        Physics 378, 2019.
    Wang, Teng, Perdikaris: "Understanding and mitigating gradient flow pathologies in
        physics-informed neural networks", SIAM Journal on Scientific Computing 43, 2021
        (Helmholtz).
    Basdevant, Deville, Haldenwang, Lacroix, Ouazzani, Peyret, Orlandi, Patera: "Spectral and finite
        difference solutions of the Burgers equation", Computers & Fluids 14, 1986.

    ## Version History
    v0: initial version.
    """

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

    # More runs would leave the caches: 16 took 0.7 of the time of 64 at once.
    runs_at_once: ClassVar[int] = 16

    equation: str = "oscillator"
    frequency: PositiveFloatRange = (6.0, 12.0)
    damping: NonNegativeFloatRange = (0.5, 3.0)
    modes: PositiveInt = 8
    viscosity: PositiveFloatRange = (0.01, 0.05)
    amplitude: PositiveFloatRange = (0.5, 1.0)
    wavenumber: NonNegativeFloatRange = (0.5, 2.0)
    waves: PositiveIntRange = (1, 3)
    num_points: PositiveInt = 32
    num_condition_points: PositiveInt = 16
    num_readings: NonNegativeInt = 8
    num_held_out: PositiveInt = 32
    noise: NonNegativeFloatRange = (0.01, 0.05)
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
    def problems(self) -> PhysicsProblems:
        """Where data come from."""
        return PhysicsProblems(
            equation=self.physics,
            num_points=self.num_points,
            num_condition_points=self.num_condition_points,
            num_readings=self.num_readings,
            num_held_out=self.num_held_out,
            noise=self.noise,
        )

    @functools.cached_property
    def pairs(self) -> tuple[Pair, ...]:
        # Next to the residual, the others cost little: they are computed for all runs.
        names = self.problems.losses
        return tuple(Pair(name, ("network",), cheap=name != "residual") for name in names)

    @property
    def weight_groups(self) -> tuple[tuple[str, ...], ...]:
        return self.problems.weight_groups

    def make_data(self, keys: Keys) -> dict[str, Any]:
        return self.problems.data(keys.problem)

    def initial_parameters(self, keys: Keys) -> dict[str, Any]:
        sizes = (len(self.physics.low), *self.hidden_sizes, 1)
        return {"network": initial_network(keys.run, sizes, self.first_scale)}

    def draws(self, data: Any, keys: Int64[Tensor, " rows"]) -> dict[str, Condition]:
        return self.problems.draws(data, keys)

    def batch_of(self, data: Any, draws: dict[str, Condition]) -> dict[str, Condition]:
        return self.problems.batch_of(data, draws)

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

    def residuals(self, parameters: Parameters, batch: Any) -> dict[str, Tensor]:
        """By loss, the residuals whose mean square it is."""
        network = parameters["network"]
        return {pair.loss: self._residuals.of(network, batch[pair.loss]) for pair in self.pairs}

    def validation_values(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs 2"]:
        held_out = self._residuals.loss(parameters, data["validation"])
        parts = [self._residuals.loss(parameters, part) for part in data["held_out"].values()]
        return torch.stack([held_out, sum(parts[1:], parts[0])], dim=1)

    def score_values(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs 2"]:
        truth = data["truth"]
        error = self._on_grid(parameters) - truth
        squares = error.square().sum(1) / truth.square().sum(1)
        greatest = error.abs().amax(1) / truth.abs().amax(1)
        return torch.stack([torch.sqrt(squares), greatest], dim=1).clamp(max=_WORST)

    def fields(self, state: State) -> list[Field]:
        physics = self.physics
        shape = (len(state.steps), *physics.grid)
        found = self._on_grid(self.unpack(state.parameters)).view(shape).cpu().numpy()
        exact = state.data["truth"].view(shape).cpu().numpy()
        domain = physics.names, physics.low, physics.high
        return [Field(*domain, *each) for each in zip(exact, found, strict=True)]

    def _on_grid(self, parameters: Parameters) -> Float[Tensor, "num_envs count"]:
        """The networks at the points of the test."""
        network = parameters["network"]
        grid = self.physics.everywhere(network["bias_0"].device)
        return self._residuals.values(network, grid.expand(len(network["bias_0"]), *grid.shape))
