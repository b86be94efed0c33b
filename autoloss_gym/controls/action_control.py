"""What turns the actions of an agent into a `Control` of the task."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from gymnasium import Space

from autoloss_gym.core.task import Control
from autoloss_gym.signals.description import RunDescription


@dataclass(frozen=True, kw_only=True)
class ActionControl(ABC):
    """A map from a batch of actions to a `Control`."""

    @abstractmethod
    def action_space(self, description: RunDescription) -> Space:
        """The space of one run's action; raises ValueError where the task has no use for such
        actions.
        """

    @abstractmethod
    def __call__(
        self, description: RunDescription, actions: Any, num_envs: int, device: torch.device
    ) -> Control:
        """Translate actions (NumPy, a sequence, or a tensor on any device), one a run; ValueError
        if they are bad.
        """
