"""The step size alone, with all losses as they are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from autoloss_gym.controls.action_control import ActionControl
from autoloss_gym.controls.checks import finite_numbers
from autoloss_gym.controls.step_sizes import StepSizeRange, on_line
from autoloss_gym.core.task import Control
from autoloss_gym.signals.description import RunDescription
from autoloss_gym.tools.fields import check_fields


@dataclass(frozen=True, kw_only=True)
class ScaleStep(ActionControl):
    """Box(-1, 1, (1,)): the step size of an update on all losses, each with weight 1.

    An action a sets it to `step_size_range`^a times the task's learning rate.

    Args:
        step_size_range: the greatest such factor; the least is its inverse.
    """

    step_size_range: StepSizeRange = 10.0

    def __post_init__(self) -> None:
        check_fields(self)

    def action_space(self, description: RunDescription) -> spaces.Box:
        return spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __call__(
        self, description: RunDescription, actions: Any, num_envs: int, device: torch.device
    ) -> Control:
        values = finite_numbers(actions, (num_envs, 1), "Box action")
        shape = (num_envs, len(description.pairs))
        return Control(
            weights=torch.ones(shape, dtype=torch.float32, device=device),
            step_size=on_line(values[:, 0].to(device, torch.float32), self.step_size_range),
        )
