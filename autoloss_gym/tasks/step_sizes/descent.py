"""What the step-size tasks share: gradient descent on one loss, written in closed form."""

import functools
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.core.state import Keys, Model, State
from autoloss_gym.core.task import Control, Evaluation, Pair, Task
from autoloss_gym.tools import tree
from autoloss_gym.tools.bounds import PositiveFloat

_BLOCK = "point"
_DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True, kw_only=True)
class Descent(Task):
    """w ← w − η ∇f(w) on one loss f, whose step size η alone is to be chosen.

    Every step is a pure function of state and step size: `differentiable=True` clones nothing.

    Args:
        learning_rate: the step size that a factor of 1 stands for.
        dtype: of points and data.
    """

    pairs: ClassVar[tuple[Pair, ...]] = (Pair("objective", (_BLOCK,)),)

    learning_rate: PositiveFloat = 0.1
    dtype: Literal["float32", "float64"] = "float32"

    @abstractmethod
    def make_data(self, keys: Keys) -> Any:
        """The problem of each run, a tree of tensors (num_envs, …), drawn from `keys.problem`."""

    @abstractmethod
    def begin(self, keys: Keys, data: Any) -> Model:
        """Where the runs begin: the block `point`, and the buffers that belong to it."""

    @abstractmethod
    def measure(self, state: State) -> Evaluation:
        """Loss and gradient norm of every run at its point, finite wherever that is."""

    @abstractmethod
    def base_rate(self, state: State) -> Float[Tensor, " num_envs"] | float:
        """The step size that a factor of 1 stands for in the next update."""

    @abstractmethod
    def advance(self, state: State, rate: Float[Tensor, " num_envs"]) -> Model:
        """Where one step of these sizes leads; a run with rate 0 need not stay as it is."""

    @abstractmethod
    def moves(self, state: State) -> Bool[Tensor, " num_envs"]:
        """Runs that still take steps."""

    @property
    def floats(self) -> torch.dtype:
        """The type of points and data."""
        return _DTYPES[self.dtype]

    def reset(self, keys: Keys) -> State:
        data = self.make_data(keys)
        model = self.begin(keys, data)
        return State(
            keys=keys,
            data=data,
            parameters=model["parameters"],
            optimizer={},
            steps=torch.zeros_like(keys.run),
            diverged=torch.zeros_like(keys.run, dtype=torch.bool),
            buffers=model["buffers"],
        )

    def update(
        self, state: State, control: Control, *, differentiable: bool = False
    ) -> tuple[State, Evaluation]:
        with torch.set_grad_enabled(differentiable):
            return self._updated(state, control)

    def _updated(self, state: State, control: Control) -> tuple[State, Evaluation]:
        evaluation = self.measure(state)
        evaluation.measured = control.weights != 0
        asked = evaluation.measured[:, 0] & self.moves(state)
        factor = (control.weights[:, 0] * control.step_size).to(self.floats)
        # Derivatives of a step that is not taken would not be finite either.
        takes = asked & torch.isfinite(factor) & ~state.diverged
        model = self.advance(state, torch.where(takes, factor, 0.0) * self.base_rate(state))

        finite = _finite(model["parameters"]) & _finite(model["buffers"])
        diverged = state.diverged | (asked & ~(torch.isfinite(factor) & finite))
        model = tree.where(takes & finite, model, state.model)
        moved = replace(state.with_model(model), steps=state.steps + 1, diverged=diverged)
        return moved, evaluation

    def validate(self, state: State) -> Float[Tensor, "num_envs metrics"]:
        with torch.no_grad():
            return self.validation_values(state).to(torch.float32)

    def score(self, state: State) -> Float[Tensor, "num_envs metrics"]:
        with torch.no_grad():
            return self.score_values(state).to(torch.float32)

    @abstractmethod
    def validation_values(self, state: State) -> Float[Tensor, "num_envs metrics"]:
        """The columns that `validation_metrics` names, with their graph."""

    @abstractmethod
    def score_values(self, state: State) -> Float[Tensor, "num_envs metrics"]:
        """The columns that `score_metrics` names, with their graph."""


def _finite(tensors: dict[str, Tensor]) -> Bool[Tensor, " num_envs"]:
    """Runs all of whose numbers are finite."""
    masks = [torch.isfinite(each).view(len(each), -1).all(dim=1) for each in tensors.values()]
    return functools.reduce(torch.logical_and, masks)


def evaluation_of(loss: Float[Tensor, " num_envs"], norm: Float[Tensor, " num_envs"]) -> Evaluation:
    """What was measured of the one loss, of all runs."""
    return Evaluation(
        losses=loss.to(torch.float32)[:, None],
        gradient_norms=norm.to(torch.float32)[:, None],
        measured=torch.ones_like(loss, dtype=torch.bool)[:, None],
    )
