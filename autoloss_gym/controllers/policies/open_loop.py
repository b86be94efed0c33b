"""Open-loop schedules p(t): probabilities that change with progress alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autoloss_gym.controllers.policies.draws import Draws, one_hot
from autoloss_gym.core.task import Control


@dataclass
class OpenLoop:
    """Draws the pair of every step with probabilities that change with progress.

    Args:
        knots: probabilities at equally spaced moments from the start to the end of training,
            (knots, pairs); between them they are interpolated linearly.
        max_steps: length of a training run.
    """

    label: str
    knots: tuple[tuple[float, ...], ...]
    max_steps: int
    static: bool = True
    diagnostics: bool = False
    env_arguments: dict[str, Any] = field(default_factory=dict)

    def reset(self, seeds: np.ndarray) -> None:
        self._draws = Draws(seeds, "open loop")

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> Control:
        knots = np.asarray(self.knots)
        positions = np.arange(len(knots))
        place = infos["steps"] / self.max_steps * (len(knots) - 1)
        columns = [np.interp(place, positions, column) for column in knots.T]
        probabilities = np.stack(columns, axis=1)
        return one_hot(self._draws.categorical(probabilities), knots.shape[1])

    def state_dict(self) -> dict[str, Any]:
        """The number of draws so far."""
        return {"draws": self._draws.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the state was taken, after a `reset` with the same seeds."""
        self._draws.count = int(state["draws"])
