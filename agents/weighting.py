"""Loss-weighting rules as policies."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from agents.schedules import Draws, one_hot, weigh
from autoloss_gym.task import Control
from autoloss_gym.weightings.softadapt import SoftAdapt


@dataclass
class WeightingPolicy:
    """Follows a rule that turns losses into weights.

    Args:
        rule: the rule; its weights sum to 1.
        sample: whether to update one pair a step, drawn with the weights as probabilities, instead of weighing all.
    """

    label: str
    rule: SoftAdapt
    sample: bool = False
    static: bool = False
    diagnostics: bool = False
    env_arguments: dict[str, Any] = field(default_factory=dict)

    def reset(self, seeds: np.ndarray) -> None:
        self.rule.reset()
        self._draws = Draws(seeds, "weighting")

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> Control:
        weights = self.rule.update(torch.from_numpy(infos["losses"]), torch.from_numpy(infos["losses_refreshed"]))
        return one_hot(self._draws.categorical(weights.numpy()), weights.shape[1]) if self.sample else weigh(weights)
