"""What is done in one update of one run, in plain numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from autoloss_gym.core.task import Control


@dataclass(frozen=True, slots=True)
class Decision:
    """The weights of all losses, a factor on the learning rate, and the loss that was chosen."""

    weights: tuple[float, ...]
    step_size: float = 1.0
    chosen: int | None = None

    @classmethod
    def of(cls, control: Control) -> "Decision":
        """That of a control of one run."""
        chosen = None if control.choice is None else int(control.choice[0])
        return cls(tuple(control.weights[0].tolist()), control.step_size.item(), chosen)

    @classmethod
    def all_of(cls, controls: Sequence[Control]) -> list["Decision"]:
        """Those of one run's controls, one after another."""
        weights = torch.cat([control.weights for control in controls]).tolist()
        factors = torch.cat([control.step_size for control in controls]).tolist()
        found = []
        for control, row, factor in zip(controls, weights, factors, strict=True):
            chosen = None if control.choice is None else int(control.choice[0])
            found.append(cls(tuple(row), factor, chosen))
        return found

    def control(self) -> Control:
        """The same as tasks take it, a batch of one."""
        return Control(
            weights=torch.tensor([self.weights], dtype=torch.float32, device="cpu"),
            step_size=torch.tensor([self.step_size], dtype=torch.float32, device="cpu"),
            choice=None if self.chosen is None else np.array([self.chosen]),
        )
