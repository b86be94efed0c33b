"""Action spaces: how an action of an agent becomes a `Control` of the task."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor

from autoloss_gym.core.task import Control, Task
from autoloss_gym.tools.arrays import on_host
from autoloss_gym.tools.bounds import Bounds
from autoloss_gym.tools.fields import check_fields
from autoloss_gym.tools.names import shown


@dataclass(frozen=True, kw_only=True)
class ActionControl(ABC):
    """A map from a batch of actions to a `Control`."""

    @abstractmethod
    def action_space(self, task: Task) -> Space:
        """The space of one run's action; raises ValueError where the task has no use for such
        actions.
        """

    @abstractmethod
    def __call__(self, task: Task, actions: Any, num_envs: int, device: torch.device) -> Control:
        """Translate actions (NumPy, a sequence, or a tensor on any device), one a run; ValueError
        if they are bad.
        """


@dataclass(frozen=True, kw_only=True)
class ChoosePair(ActionControl):
    """Discrete(number of pairs): the pair to update, with weight 1 (AutoLoss)."""

    def action_space(self, task: Task) -> spaces.Discrete:
        return spaces.Discrete(len(task.pairs))

    def __call__(self, task: Task, actions: Any, num_envs: int, device: torch.device) -> Control:
        step_size = torch.ones(num_envs, dtype=torch.float32, device=device)
        if isinstance(actions, Tensor) and actions.device.type != "cpu":
            # The host would have to wait for the values.
            _check_shape(tuple(actions.shape), (num_envs,), "Discrete action")
            _check_integers(_is_integer(actions.dtype), actions.dtype, len(task.pairs))
            pairs = torch.arange(len(task.pairs), dtype=torch.int64, device=device)
            weights = actions[:, None] == pairs
            return Control(weights=weights.to(torch.float32), step_size=step_size)
        choice = _host_choice(actions, num_envs, len(task.pairs))
        one_hot = (choice[:, None] == np.arange(len(task.pairs))).astype(np.float32)
        return Control(
            weights=torch.from_numpy(one_hot).to(device), step_size=step_size, choice=choice
        )


@dataclass(frozen=True, kw_only=True)
class WeighLosses(ActionControl):
    """Box(-1, 1, (number of pairs,)): a positive weight for every pair's gradient.

    This is SoftAdapt's setting. An entry a becomes the weight wide^a, and the weights are then
    normalised.

    Args:
        normalize: "sum" to sum to 1, "count" to sum to the number of pairs, None to leave them.
        wide: weights lie between 1 / wide and wide before they are normalised.
    """

    normalize: Literal["sum", "count"] | None = "sum"
    wide: Annotated[float, Bounds("a number above 1 and at most 1e6", above=1, most=1e6)] = 100.0

    def __post_init__(self) -> None:
        check_fields(self)

    def action_space(self, task: Task) -> spaces.Box:
        if not task.shares_blocks:
            raise ValueError(
                "control='weights': every parameter block has one loss, and under Adam the weight "
                "of a lone loss changes nothing; use control='pair'"
            )
        return spaces.Box(-1.0, 1.0, (len(task.pairs),), np.float32)

    def __call__(self, task: Task, actions: Any, num_envs: int, device: torch.device) -> Control:
        values = _numbers(actions, (num_envs, len(task.pairs)), "Box action")
        if values.device.type == "cpu":
            bad = ~torch.isfinite(values).all(dim=1)
            expected = "finite numbers, which are clipped to [-1, 1]"
            _check_rows(bad.numpy(), values.numpy(), expected)
        clipped = values.clamp(-1, 1).to(device, torch.float32)
        weights = torch.exp(clipped * math.log(self.wide))
        if self.normalize:
            total = 1.0 if self.normalize == "sum" else float(len(task.pairs))
            weights = weights * (total / weights.sum(dim=1, keepdim=True))
        step_size = torch.ones(num_envs, dtype=torch.float32, device=device)
        return Control(weights=weights, step_size=step_size)


def checked_control(
    control: Control, num_envs: int, num_pairs: int, device: torch.device
) -> Control:
    """The control in float32 on the device.

    Raises:
        TypeError: it is no `Control`.
        ValueError: it has a wrong shape or type, or, where it is on the CPU, is not finite:
            elsewhere the host would have to wait for the device.
    """
    if not isinstance(control, Control):
        raise TypeError(f"control={shown(control)}: expected an autoloss_gym.Control")
    weights = _numbers(control.weights, (num_envs, num_pairs), "row of weights")
    step_size = _numbers(control.step_size, (num_envs,), "step size")
    if weights.device.type == step_size.device.type == "cpu":
        finite = torch.isfinite(weights).all(dim=1) & torch.isfinite(step_size)
        _check_rows(~finite.numpy(), weights.numpy(), "finite weights and step size")
    choice = control.choice
    if choice is not None:
        choice = _host_choice(choice, num_envs, num_pairs)
    return Control(
        weights=weights.to(device, torch.float32),
        step_size=step_size.to(device, torch.float32),
        choice=choice,
    )


def idle(control: Control, mask: Tensor) -> Control:
    """`control` with nothing to do for the masked runs, (num_envs,), bool."""
    return replace(control, weights=torch.where(mask[:, None], 0.0, control.weights))


CONTROLS: dict[str, type[ActionControl]] = {"pair": ChoosePair, "weights": WeighLosses}


def _numbers(values: Any, shape: tuple[int, ...], kind: str) -> Tensor:
    """Real numbers of a shape, from a tensor, an array or a list; without a graph."""
    if isinstance(values, Tensor):
        _check_shape(tuple(values.shape), shape, kind)
        if values.dtype == torch.bool or values.dtype.is_complex:
            raise ValueError(f"actions of dtype {values.dtype}: expected float32")
        is_narrow = values.dtype != torch.float64  # and may be of a type that NumPy lacks
        return values.detach().to_dense().to(torch.float32 if is_narrow else torch.float64)
    array = on_host(values)
    if array is None:
        raise ValueError(f"actions {shown(values)}: expected numbers of shape {shape}, float32")
    _check_shape(array.shape, shape, kind)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"actions of dtype {array.dtype}: expected float32")
    return torch.from_numpy(array.astype(np.float64))


def _host_choice(actions: Any, num_envs: int, pairs: int) -> np.ndarray:
    choice = on_host(actions)
    if choice is None:
        raise ValueError(
            f"actions {shown(actions)}: expected integers of shape ({num_envs},), one for each "
            "environment"
        )
    _check_shape(choice.shape, (num_envs,), "Discrete action")
    _check_integers(np.issubdtype(choice.dtype, np.integer), choice.dtype, pairs)
    _check_rows((choice < 0) | (choice >= pairs), choice, f"integers from 0 to {pairs - 1}")
    return choice.astype(np.int64)


def _is_integer(dtype: torch.dtype) -> bool:
    return not (dtype.is_floating_point or dtype.is_complex or dtype == torch.bool)


def _check_integers(are_integers: bool, dtype: Any, pairs: int) -> None:
    if not are_integers:
        raise ValueError(f"actions of dtype {dtype}: expected integers from 0 to {pairs - 1}")


def _check_shape(shape: tuple[int, ...], expected: tuple[int, ...], kind: str) -> None:
    if shape != expected:
        # A single number or object is no batch: a TypeError, as of Gymnasium's vector environments.
        error = ValueError if shape else TypeError
        raise error(
            f"actions of shape {shape}: expected {expected}, one {kind} for each environment"
        )


def _check_rows(bad: np.ndarray, values: np.ndarray, expected: str) -> None:
    if not bad.any():
        return
    rows = np.flatnonzero(bad)
    shown = ", ".join(map(str, rows[:5]))
    if len(rows) > 5:
        shown += ", …"
    raise ValueError(
        f"bad action in environments {shown} (first: {values[rows[0]]}): expected {expected}"
    )
