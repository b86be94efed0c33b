"""Tuning the step size of gradient descent on quadratics (Wang, Yuan, Wu, Ge)."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.state import Keys, Model, State
from autoloss_gym.core.task import Evaluation, Metric, Part
from autoloss_gym.tasks.step_sizes.descent import Descent, evaluation_of
from autoloss_gym.tasks.step_sizes.geometry import log_quadratic, long_rate, polar, short_rate
from autoloss_gym.tasks.step_sizes.spectra import Spectra, Spectrum, unit_vectors
from autoloss_gym.tools.bounds import (
    Bounds,
    FiniteFloat,
    FloatRange,
    IntRange,
    PositiveFloat,
    PositiveInt,
    PositiveIntRange,
    largest,
    ranged,
)
from autoloss_gym.tools.compiling import graph_constant
from autoloss_gym.tools.names import shown

_WORST = 1e30  # of the root of the objective: a step size of 1e15 times the best
_LOG_LARGEST = 80.0  # of a loss that is shown, which float32 holds
_Eigenvalue = Bounds("a number from 1e-6 to 1e6", least=1e-6, most=1e6)
_Condition = Bounds("a number from 1 to 1e6", least=1, most=1e6)
_Dimension = Bounds("an integer from 1 to 4096", least=1, most=4096)
_FORMS = {"barzilai_borwein_1": long_rate, "barzilai_borwein_2": short_rate}
StepRule = Literal["fixed", "barzilai_borwein_1", "barzilai_borwein_2", "exact"]


@dataclass(frozen=True, kw_only=True)
class QuadraticStepSize(Descent):
    """How long a step to take: gradient descent on f(w) = ½ wᵀH w.

    ## Description
    w ← w − η H w for a given number of steps. The best step sizes depend on the eigenvalues of H,
    which nobody is told, and on the number of steps that are left. The point is held in the basis
    of H's eigenvectors, with which gradient descent commutes, as its direction and the logarithm of
    its length: no step size overflows.

    ## Losses
    `objective`: f(w), shown between e⁻⁸⁰ and e⁸⁰. It moves the one block `point`, the direction of
    w, by plain gradient descent.

    ## Action Space
    `control="step_size"`: Box(-1, 1, (1,)), the logarithm of a factor on the learning rate; see
    `autoloss_gym.controls.ScaleStep`, also for one on the current step size and for Discrete.
    `repeat=max_steps` makes it one decision for the whole run. `control="schedule"` decides a few
    times.

    ## Observation Space
    Box, the feature groups of `autoloss_gym.signals.features.Features`: 12 numbers, of which 4 are
    the task's own: the last change of log f, log f, the curvature gᵀHg / gᵀg along the gradient
    times the learning rate, and the share of the problem's own steps that is over; and the factor
    of the last step.

    ## Rewards
    `shaped` (default) is the decrease of (1/T) · log f since the last validation: an episode sums
    to (1/T) · log f(w₀) / f(w_T), which gets the worse the farther a step size is beyond the best.

    ## Starting State
    w uniform on the unit sphere, H with new eigenvalues for each problem; see `num_instances`.

    ## Episode End
    Terminates after `max_steps` updates, after `patience` validations without a new best, or when a
    step size is no finite number.

    ## Arguments
    spectrum: "logarithmic", "uniform" or "wishart", see `Spectra`.
    dimension, largest, condition: number of eigenvalues, the greatest, and the greatest by the
        least; each a number or a range (low, high), from which each problem draws its own.
    eigenvalues, start: those of one problem, and its w₀ in the basis of the eigenvectors, which may
        have any length; they take the place of the above.
    horizon: steps T after which a problem's run stands still, a number or a range; None is
        `max_steps`.
    step: what a factor of 1 stands for: "fixed" is `learning_rate`; "barzilai_borwein_1" is
        1 / (gᵀHg / gᵀg) of the last gradient, "barzilai_borwein_2" gᵀHg / ‖Hg‖² of it, both after a
        first step of `learning_rate`; "exact" is the minimum along the gradient.
    learning_rate, dtype: see `Descent`.
    max_steps, validate_every, patience, collapse_repeats, collapse_share: see `Task`.
    preset: "paper" for eigenvalues of XᵀX with d = 20; "mixture" for problems whose greatest
        eigenvalue lies between 1 and 100, with 5 to 20 dimensions and 20 to 80 steps.

    The validation metric is f(w)^(1/T); the score is its logarithm, (1/T) · log f(w).
    `log_objective` is log f(w).

    ## References
    Wang, Yuan, Wu, Ge: "Guarantees for Tuning the Step Size using a Learning-to-Learn Approach",
        ICML 2021.
    Barzilai, Borwein: "Two-point step size gradient methods", IMA Journal of Numerical Analysis 8,
        1988.

    ## Version History
    v0: initial version.
    """

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"spectrum": "wishart", "learning_rate": 0.01},
        "mixture": {"dimension": (5, 20), "horizon": (20, 80)},
    }
    validation_metrics: ClassVar[tuple[Metric, ...]] = (Metric("root_objective", worst=_WORST),)
    score_metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("log_root_objective", worst=math.log(_WORST)),
        Metric("log_objective", worst=1e6),
    )

    spectrum: Spectrum = "logarithmic"
    dimension: Annotated[IntRange, ranged(_Dimension)] = 20
    largest: Annotated[FloatRange, ranged(_Eigenvalue)] = (1.0, 100.0)
    condition: Annotated[FloatRange, ranged(_Condition)] = (10.0, 1000.0)
    eigenvalues: tuple[Annotated[float, _Eigenvalue], ...] | None = None
    start: tuple[FiniteFloat, ...] | None = None
    horizon: PositiveIntRange | None = None
    step: StepRule = "fixed"
    learning_rate: PositiveFloat = 0.1
    max_steps: PositiveInt = 80
    validate_every: PositiveInt = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if largest(self.horizon or 1) > self.max_steps:
            raise ValueError(
                f"horizon={shown(self.horizon)}: expected at most max_steps={self.max_steps}"
            )
        if self.eigenvalues == () or self.start == ():
            raise ValueError("eigenvalues or start without an entry: expected one a dimension")
        if self.start is None:
            return
        if len(self.start) != len(self.eigenvalues or ()) or not any(self.start):
            raise ValueError(
                f"start={shown(self.start)}: expected one number for each of eigenvalues="
                f"{shown(self.eigenvalues)}, not all 0"
            )

    def make_data(self, keys: Keys) -> dict[str, Tensor]:
        steps = self.max_steps if self.horizon is None else self.horizon
        horizon = random.ranged_integers(random.fold_in(keys.problem, "horizon"), steps)
        if self.eigenvalues is None:
            spectra = Spectra(
                kind=self.spectrum,
                dimension=self.dimension,
                largest=self.largest,
                condition=self.condition,
            )
            values, present = spectra.eigenvalues(keys.problem)
        else:
            values = _rows(self.eigenvalues, keys)
            present = values > 0
        start = (
            unit_vectors(keys.problem, present) if self.start is None else _rows(self.start, keys)
        )
        return {
            "eigenvalues": values.to(self.floats),
            "start": start.to(self.floats),
            "horizon": horizon,
        }

    def begin(self, keys: Keys, data: Any) -> Model:
        direction, log_length = polar(data["start"])
        # Log f before the last update: log f itself before the first.
        before = log_quadratic(data["eigenvalues"], direction, log_length)
        rate = torch.full_like(log_length, self.learning_rate)
        buffers = {"log_length": log_length, "before": before, "next_rate": rate}
        return {"parameters": {"point": direction}, "buffers": buffers}

    def measure(self, state: State) -> Evaluation:
        log_length = state.buffers["log_length"].detach()
        gradient = self._gradient(state).detach()
        log_norm = log_length + 0.5 * torch.log((gradient * gradient).mean(dim=1))
        logs = self.log_objective(state).detach(), log_norm
        shown_values = (torch.exp(each.clamp(-_LOG_LARGEST, _LOG_LARGEST)) for each in logs)
        return evaluation_of(*shown_values)

    def gradients(self, state: State) -> tuple[dict[str, Float[Tensor, "num_envs _"]], ...]:
        length = torch.exp(state.buffers["log_length"].clamp(-_LOG_LARGEST, _LOG_LARGEST))
        return ({"point": self._gradient(state) * length[:, None]},)

    def base_rate(self, state: State) -> Float[Tensor, " num_envs"] | float:
        if self.step == "fixed":
            return self.learning_rate
        if self.step == "exact":
            return long_rate(self._gradient(state), state.data["eigenvalues"])
        return state.buffers["next_rate"]

    def advance(self, state: State, rate: Float[Tensor, " num_envs"]) -> Model:
        direction = state.parameters["point"]
        moved = direction - rate[:, None] * self._gradient(state)
        new_direction, log_growth = polar(moved)
        # At the minimum itself, no direction is left: it is the last one.
        is_there = (moved == 0).all(dim=1, keepdim=True)
        parameters = {"point": torch.where(is_there, direction, new_direction)}
        buffers = {
            "log_length": state.buffers["log_length"] + log_growth,
            "before": self.log_objective(state).detach(),
            "next_rate": self._next_rate(state),
        }
        return {"parameters": parameters, "buffers": buffers}

    def moves(self, state: State) -> Bool[Tensor, " num_envs"]:
        return state.steps < state.data["horizon"]

    def objective(self, state: State, part: Part = "train") -> Float[Tensor, " num_envs"]:
        return torch.exp(self.log_objective(state))

    def log_objective(self, state: State, part: Part = "train") -> Float[Tensor, " num_envs"]:
        """log f(w), finite whatever the length of w."""
        return log_quadratic(
            state.data["eigenvalues"], state.parameters["point"], state.buffers["log_length"]
        )

    def log_root_objective(self, state: State, part: Part = "train") -> Float[Tensor, " num_envs"]:
        """(1/T) · log f(w), with T the number of steps of each problem."""
        return self.log_objective(state) / state.data["horizon"]

    def validation_values(self, state: State) -> Float[Tensor, "num_envs 1"]:
        bound = math.log(_WORST)
        return torch.exp(self.log_root_objective(state).clamp(-bound, bound))[:, None]

    def score_values(self, state: State) -> Float[Tensor, "num_envs 2"]:
        return torch.stack([self.log_root_objective(state), self.log_objective(state)], dim=1)

    def extra(self, state: State) -> Float[Tensor, "num_envs 4"]:
        curvature = self.learning_rate / long_rate(self._gradient(state), state.data["eigenvalues"])
        log_objective = self.log_objective(state)
        columns = (
            torch.tanh(log_objective - state.buffers["before"]),
            torch.tanh(log_objective / 40),
            torch.tanh(torch.log(curvature) / 4),
            (state.steps / state.data["horizon"]).clamp(max=1),
        )
        return torch.stack([each.to(torch.float32) for each in columns], dim=1)

    def _gradient(self, state: State) -> Float[Tensor, "num_envs d"]:
        """H times the direction of w: the gradient by the length of w."""
        return state.data["eigenvalues"] * state.parameters["point"]

    def _next_rate(self, state: State) -> Float[Tensor, " num_envs"]:
        """What a factor of 1 stands for after a step from here."""
        if self.step in _FORMS:
            return _FORMS[self.step](self._gradient(state), state.data["eigenvalues"])
        return state.buffers["next_rate"]


def _rows(values: tuple[float, ...], keys: Keys) -> Float[Tensor, "num_envs d"]:
    """The same numbers for every run, float64."""
    return _row(values, keys.run.device).repeat(len(keys.run), 1)


@graph_constant()
def _row(values: tuple[float, ...], device: torch.device) -> Float[Tensor, " d"]:
    return torch.tensor(values, dtype=torch.float64, device=device)
