"""Action spaces: how an action of an agent becomes a `Control` of the task."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor

from autoloss_gym.core.task import Control, Task


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
            _check_shape(tuple(actions.shape), (num_envs,), "Discrete action")
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
    wide: float = 100.0

    def __post_init__(self) -> None:
        if self.normalize not in ("sum", "count", None):
            raise ValueError(f"normalize={self.normalize!r}: expected 'sum', 'count' or None")
        if not 1 < self.wide < math.inf:
            raise ValueError(f"wide={self.wide}: expected a finite number above 1")

    def action_space(self, task: Task) -> spaces.Box:
        if not task.shares_blocks:
            raise ValueError(
                "control='weights': every parameter block has one loss, and under Adam the weight "
                "of a lone loss changes nothing; use control='pair'"
            )
        return spaces.Box(-1.0, 1.0, (len(task.pairs),), np.float32)

    def __call__(self, task: Task, actions: Any, num_envs: int, device: torch.device) -> Control:
        values = actions if isinstance(actions, Tensor) else np.asarray(actions)
        _check_shape(tuple(values.shape), (num_envs, len(task.pairs)), "Box action")
        values = _as_float(values, device)
        if device.type == "cpu":
            bad = ~torch.isfinite(values).all(dim=1)
            expected = "finite numbers, which are clipped to [-1, 1]"
            _check_rows(bad.numpy(), values.numpy(), expected)
        weights = torch.exp(values.clamp(-1, 1) * math.log(self.wide))
        if self.normalize:
            total = 1.0 if self.normalize == "sum" else float(len(task.pairs))
            weights = weights * (total / weights.sum(dim=1, keepdim=True))
        step_size = torch.ones(num_envs, dtype=torch.float32, device=device)
        return Control(weights=weights, step_size=step_size)


def check_control(control: Control, num_envs: int, num_pairs: int) -> None:
    """ValueError for a control of wrong shape or, on the CPU, one that is not finite.

    Elsewhere the host would have to wait for the device.
    """
    weights = control.weights
    _check_shape(tuple(weights.shape), (num_envs, num_pairs), "row of weights")
    _check_shape(tuple(control.step_size.shape), (num_envs,), "step size")
    if weights.device.type == "cpu":
        finite = torch.isfinite(weights).all(dim=1) & torch.isfinite(control.step_size)
        _check_rows(~finite.numpy(), weights.detach().numpy(), "finite weights and step size")


def idle(control: Control, mask: Tensor) -> Control:
    """`control` with nothing to do for the masked runs, (num_envs,), bool."""
    return replace(control, weights=torch.where(mask[:, None], 0.0, control.weights))


CONTROLS: dict[str, type[ActionControl]] = {"pair": ChoosePair, "weights": WeighLosses}


def _as_float(values: Any, device: torch.device) -> Tensor:
    try:
        return torch.as_tensor(values, dtype=torch.float32, device=device)
    except TypeError:
        raise ValueError(f"actions of dtype {values.dtype}: expected float32") from None


def _host_choice(actions: Any, num_envs: int, pairs: int) -> np.ndarray:
    try:
        choice = np.asarray(actions)
    except ValueError:
        raise ValueError(
            f"actions {actions}: expected integers of shape ({num_envs},), one for each environment"
        ) from None
    _check_shape(choice.shape, (num_envs,), "Discrete action")
    if not np.issubdtype(choice.dtype, np.integer):
        raise ValueError(
            f"actions of dtype {choice.dtype}: expected integers from 0 to {pairs - 1}"
        )
    choice = choice.astype(np.int64)
    _check_rows((choice < 0) | (choice >= pairs), choice, f"integers from 0 to {pairs - 1}")
    return choice


def _check_shape(shape: tuple[int, ...], expected: tuple[int, ...], kind: str) -> None:
    if shape != expected:
        raise ValueError(
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
