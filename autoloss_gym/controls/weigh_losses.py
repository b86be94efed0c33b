"""Weights of all losses (SoftAdapt), with or without a step size beside them."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from gymnasium import spaces

from autoloss_gym.controls.action_control import ActionControl
from autoloss_gym.controls.checks import finite_numbers
from autoloss_gym.controls.step_sizes import StepSizeRange, on_line
from autoloss_gym.core.task import Control
from autoloss_gym.signals.description import RunDescription
from autoloss_gym.tools.bounds import Bounds
from autoloss_gym.tools.fields import check_fields


@dataclass(frozen=True, kw_only=True)
class WeighLosses(ActionControl):
    """Box(-1, 1, (number of pairs,)): a positive weight for every pair's gradient.

    This is SoftAdapt's setting. An entry a becomes the weight wide^a, and the weights are then
    normalised.

    Args:
        normalize: "sum" to sum to 1, "count" to sum to the number of pairs, None to leave them.
        wide: weights lie between 1 / wide and wide before they are normalised.
        step_size: whether one more entry a sets the step size, `step_size_range`^a times the task's
            learning rate.
        step_size_range: the greatest such factor; the least is its inverse.
    """

    normalize: Literal["sum", "count"] | None = "sum"
    wide: Annotated[float, Bounds("a number above 1 and at most 1e6", above=1, most=1e6)] = 100.0
    step_size: bool = False
    step_size_range: StepSizeRange = 10.0

    def __post_init__(self) -> None:
        check_fields(self)

    def action_space(self, description: RunDescription) -> spaces.Box:
        if not description.shares_blocks:
            raise ValueError(
                "control='weights': every parameter block has one loss, and under Adam the weight "
                "of a lone loss changes nothing; use control='pair'"
            )
        return spaces.Box(-1.0, 1.0, (self._size(description),), np.float32)

    def __call__(
        self, description: RunDescription, actions: Any, num_envs: int, device: torch.device
    ) -> Control:
        num_pairs = len(description.pairs)
        values = finite_numbers(actions, (num_envs, self._size(description)), "Box action")
        clipped = values.clamp(-1, 1).to(device, torch.float32)
        weights = torch.exp(clipped[:, :num_pairs] * math.log(self.wide))
        if self.normalize:
            total = 1.0 if self.normalize == "sum" else float(num_pairs)
            weights = weights * (total / weights.sum(dim=1, keepdim=True))
        step_size = torch.ones(num_envs, dtype=torch.float32, device=device)
        if self.step_size:
            step_size = on_line(clipped[:, num_pairs], self.step_size_range)
        return Control(weights=weights, step_size=step_size)

    def _size(self, description: RunDescription) -> int:
        return len(description.pairs) + self.step_size
