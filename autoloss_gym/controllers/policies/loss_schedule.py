"""Schedules of loss weights, or of probabilities, and of the step size: played as they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.controllers.policies.draws import Draws, one_hot
from autoloss_gym.controls.schedule import Schedule
from autoloss_gym.core.task import Control


@dataclass
class LossSchedule:
    """Plays a schedule that depends on progress alone.

    Args:
        label: its name in tables.
        schedule: loss weights and a factor on the step size.
        max_steps: length of a training run.
        draw: whether the weights are probabilities, with which one pair is drawn at every step.
    """

    label: str
    schedule: Schedule
    max_steps: int
    draw: bool = False
    static: bool = True
    diagnostics: bool = False
    env_arguments: dict[str, Any] = field(default_factory=dict)

    def reset(self, seeds: np.ndarray) -> None:
        self._draws = Draws(seeds, "loss schedule")
        # All moments at once: what a run is given does not depend on the runs beside it.
        steps = torch.arange(self.max_steps, dtype=torch.float32, device="cpu")
        log_weights, log_step_size = self.schedule.logs(steps / self.max_steps)
        self._weights = _normalised(log_weights)
        self._step_size = torch.exp(log_step_size.contiguous())

    def controls(self, first: int, last: int) -> list[Control]:
        """The controls of one run for the updates `first` … `last` − 1; after its end, the last."""
        steps = torch.arange(first, last, dtype=torch.int64, device="cpu").clamp(
            max=self.max_steps - 1
        )
        weights, step_size = self._weights[steps], self._step_size[steps]
        return [
            Control(weights=weights[index : index + 1], step_size=step_size[index : index + 1])
            for index in range(len(steps))
        ]

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> Control:
        steps = torch.from_numpy(np.asarray(infos["steps"], dtype=np.int64))
        weights, step_size = self._weights[steps], self._step_size[steps]
        if not self.draw:
            return Control(weights=weights, step_size=step_size)

        control = one_hot(self._draws.categorical(weights.numpy()), weights.shape[1])
        control.step_size = step_size
        return control

    def state_dict(self) -> dict[str, Any]:
        """The number of draws so far."""
        return {"draws": self._draws.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the state was taken, after a `reset` with the same seeds."""
        self._draws.count = int(state["draws"])


def _normalised(logs: Float[Tensor, "steps pairs"]) -> Float[Tensor, "steps pairs"]:
    """Weights that sum to the number of pairs."""
    weights = torch.exp((logs - logs.amax(dim=1, keepdim=True)).contiguous())
    return weights * (logs.shape[1] / weights.sum(dim=1, keepdim=True))
