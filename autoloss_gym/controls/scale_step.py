"""The step size alone, with all losses as they are."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.controls.action_control import ActionControl
from autoloss_gym.controls.checks import (
    check_integers,
    check_shape,
    finite_numbers,
    host_choice,
    is_integer,
    stays_on_device,
)
from autoloss_gym.controls.step_sizes import Levels, StepSizeRange, on_levels, on_line
from autoloss_gym.core.task import Control
from autoloss_gym.signals.description import RunDescription
from autoloss_gym.tools.fields import check_fields


@dataclass(frozen=True, kw_only=True)
class ScaleStep(ActionControl):
    """Box(-1, 1, (1,)): the step size of an update on all losses, each with weight 1.

    An action a sets it to `step_size_range`^a times the task's learning rate, or where `relative`,
    to so many times the step size of the last update, which starts at the learning rate. The group
    of features `step_size` shows the factor of the last update; it is added where `relative`.

    One decision holds for several updates with the environment's `repeat`, and for a whole run with
    `repeat=max_steps`.

    Args:
        step_size_range: the greatest factor of an action; the least is its inverse.
        relative: whether it is on the current step size.
        limit: the greatest factor on the task's learning rate that `relative` leads to; the least
            is its inverse.
        levels: if given, actions are Discrete(levels), which choose between the least and the
            greatest factor, in equal ratios; an odd number has the factor 1 in the middle.
    """

    step_size_range: StepSizeRange = 10.0
    relative: bool = False
    limit: StepSizeRange = 1e4
    levels: Levels | None = None

    def __post_init__(self) -> None:
        check_fields(self)

    def action_space(self, description: RunDescription) -> spaces.Box | spaces.Discrete:
        if self.levels is not None:
            return spaces.Discrete(self.levels)
        return spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __call__(
        self, description: RunDescription, actions: Any, num_envs: int, device: torch.device
    ) -> Control:
        factor = self._factors(actions, num_envs, device)
        shape = (num_envs, len(description.pairs))
        weights = torch.ones(shape, dtype=torch.float32, device=device)
        return Control(weights=weights, step_size=factor)

    def _factors(
        self, actions: Any, num_envs: int, device: torch.device
    ) -> Float[Tensor, " num_envs"]:
        if self.levels is None:
            values = finite_numbers(actions, (num_envs, 1), "Box action")
            return on_line(values[:, 0].to(device, torch.float32), self.step_size_range)
        if stays_on_device(actions):
            check_shape(tuple(actions.shape), (num_envs,), "Discrete action")
            check_integers(is_integer(actions.dtype), actions.dtype, self.levels)
            chosen = actions.to(torch.int64)
        else:
            chosen = torch.from_numpy(host_choice(actions, num_envs, self.levels)).to(device)
        return on_levels(chosen, self.levels, self.step_size_range)


def continued(
    kind: ActionControl, control: Control, last_step_size: Float[Tensor, " num_envs"]
) -> Control:
    """The control with its factors on the learning rate, where its kind is relative.

    Args:
        kind: what has made the control.
        control: its factors are then on the step sizes of the last updates.
        last_step_size: the factor on the learning rate in each run's last update.
    """
    if not (isinstance(kind, ScaleStep) and kind.relative):
        return control
    factor = last_step_size * control.step_size
    return replace(control, step_size=factor.clamp(1 / kind.limit, kind.limit))
