"""The choice of a pair (AutoLoss), with or without a step size beside it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from autoloss_gym.controls.action_control import ActionControl
from autoloss_gym.controls.checks import (
    check_integers,
    check_shape,
    host_choice,
    host_integers,
    is_integer,
    stays_on_device,
)
from autoloss_gym.controls.step_sizes import Levels, StepSizeRange, on_levels
from autoloss_gym.core.task import Control
from autoloss_gym.signals.description import RunDescription
from autoloss_gym.tools.fields import check_fields


@dataclass(frozen=True, kw_only=True)
class ChoosePair(ActionControl):
    """Discrete(number of pairs): the pair to update, with weight 1 (AutoLoss).

    Args:
        step_size: whether an action also chooses a step size: MultiDiscrete((number of pairs,
            levels)).
        step_size_range: the step sizes are factors between 1 / `step_size_range` and
            `step_size_range` on the task's learning rate, in equal ratios.
        levels: their number; an odd one has the factor 1 in the middle.
    """

    step_size: bool = False
    step_size_range: StepSizeRange = 10.0
    levels: Levels = 5

    def __post_init__(self) -> None:
        check_fields(self)

    def action_space(self, description: RunDescription) -> spaces.Discrete | spaces.MultiDiscrete:
        if self.step_size:
            return spaces.MultiDiscrete([len(description.pairs), self.levels])
        return spaces.Discrete(len(description.pairs))

    def __call__(
        self, description: RunDescription, actions: Any, num_envs: int, device: torch.device
    ) -> Control:
        num_pairs = len(description.pairs)
        if self.step_size:
            return self._with_step_size(num_pairs, actions, num_envs, device)
        step_size = torch.ones(num_envs, dtype=torch.float32, device=device)
        if stays_on_device(actions):
            # The host would have to wait for the values.
            check_shape(tuple(actions.shape), (num_envs,), "Discrete action")
            check_integers(is_integer(actions.dtype), actions.dtype, num_pairs)
            return Control(weights=_one_hot(actions, num_pairs, device), step_size=step_size)
        choice = host_choice(actions, num_envs, num_pairs)
        weights = torch.from_numpy(_host_one_hot(choice, num_pairs)).to(device)
        return Control(weights=weights, step_size=step_size, choice=choice)

    def _with_step_size(
        self, num_pairs: int, actions: Any, num_envs: int, device: torch.device
    ) -> Control:
        if stays_on_device(actions):
            check_shape(tuple(actions.shape), (num_envs, 2), "MultiDiscrete action")
            check_integers(is_integer(actions.dtype), actions.dtype, num_pairs)
            pairs, levels = actions.unbind(dim=1)
            step_size = on_levels(levels, self.levels, self.step_size_range)
            return Control(weights=_one_hot(pairs, num_pairs, device), step_size=step_size)
        chosen = host_integers(actions, num_envs, (num_pairs, self.levels))
        choice, levels_chosen = chosen[:, 0].copy(), torch.from_numpy(chosen[:, 1].copy())
        weights = torch.from_numpy(_host_one_hot(choice, num_pairs)).to(device)
        step_size = on_levels(levels_chosen.to(device), self.levels, self.step_size_range)
        return Control(weights=weights, step_size=step_size, choice=choice)


def _host_one_hot(choice: np.ndarray, num_pairs: int) -> np.ndarray:
    return (choice[:, None] == np.arange(num_pairs)).astype(np.float32)


def _one_hot(actions: Tensor, num_pairs: int, device: torch.device) -> Tensor:
    pairs = torch.arange(num_pairs, dtype=torch.int64, device=device)
    return (actions[:, None] == pairs).to(torch.float32)
