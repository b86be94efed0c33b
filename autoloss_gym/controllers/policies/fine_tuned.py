"""A mixture of all pairs first, and then one of them alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autoloss_gym.controllers.policies.draws import Draws, one_hot
from autoloss_gym.core.task import Control


@dataclass
class FineTuned:
    """Draws the pair of every step for a share of the training, then takes the first pair alone.

    It is the usual way to train on several tasks where one of them counts: on all together, and
    then on that one (FineTuned in Xu et al. 2019, §5.1.3).

    Args:
        label: its name in tables.
        probabilities: of the pairs, as long as they are drawn.
        share: of the training in which they are, from 0 to 1, rounded to whole updates.
        max_steps: length of a training run.
    """

    label: str
    probabilities: tuple[float, ...]
    share: float
    max_steps: int
    static: bool = True
    diagnostics: bool = False
    env_arguments: dict[str, Any] = field(default_factory=dict)

    def reset(self, seeds: np.ndarray) -> None:
        self._draws = Draws(seeds, "fine tuned")

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> Control:
        steps = np.asarray(infos["steps"])
        num_pairs = len(self.probabilities)
        weights = np.broadcast_to(np.asarray(self.probabilities), (len(steps), num_pairs))
        drawn = self._draws.categorical(weights)
        is_mixed = steps < round(self.share * self.max_steps)
        return one_hot(np.where(is_mixed, drawn, 0), num_pairs)

    def state_dict(self) -> dict[str, Any]:
        """The number of draws so far."""
        return {"draws": self._draws.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the state was taken, after a `reset` with the same seeds."""
        self._draws.count = int(state["draws"])
