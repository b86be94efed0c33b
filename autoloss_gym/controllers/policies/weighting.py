"""Loss-weighting rules as policies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from autoloss_gym import random
from autoloss_gym.controllers.policies.draws import Draws, one_hot, weigh
from autoloss_gym.core.task import Control
from autoloss_gym.weightings import WeightingRule

# With 0 the pair would be unused: its loss never measured again, and its weight 0 for good.
_LEAST_WEIGHT = 1e-30


@dataclass
class WeightingPolicy:
    """Follows a rule that turns losses into weights.

    Args:
        rule: told the latest losses and gradient norms, and which of them the last step measured.
        sample: whether to update one pair a step, drawn with probabilities ∝ the weights, instead
            of weighting all.
    """

    label: str
    rule: WeightingRule
    sample: bool = False
    static: bool = False
    diagnostics: bool = False
    env_arguments: dict[str, Any] = field(default_factory=dict)

    def reset(self, seeds: np.ndarray) -> None:
        keys = torch.from_numpy(np.asarray(seeds, dtype=np.int64))
        self.rule.reset(keys=random.fold_in(keys, "rule"))
        self._draws = Draws(seeds, "weighting")

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> Control:
        losses = torch.from_numpy(infos["losses"])
        refreshed = torch.from_numpy(infos["losses_refreshed"])
        gradient_norms = torch.from_numpy(infos["gradient_norms"])
        if len(losses) == 1:  # rules are quickest with the losses of one model
            mask = None if infos["losses_refreshed"].all() else refreshed[0]
            weights = self.rule.update(losses[0], mask, gradient_norms[0])[None]
        else:
            weights = self.rule.update(losses, refreshed, gradient_norms)
        if self.sample:
            return one_hot(self._draws.categorical(weights.numpy()), weights.shape[1])
        return weigh(weights.clamp(min=_LEAST_WEIGHT))

    def state_dict(self) -> dict[str, Any]:
        """What the rule has learned, and the number of draws so far."""
        return {"rule": self.rule.state_dict(), "draws": self._draws.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the state was taken, after a `reset` with the same seeds."""
        self.rule.load_state_dict(state["rule"])
        self._draws.count = int(state["draws"])
