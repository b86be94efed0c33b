"""What a loop of one's own has told so far, as observations and infos of an environment."""

import dataclasses
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.core.task import Evaluation
from autoloss_gym.signals.description import RunDescription
from autoloss_gym.signals.features import Features
from autoloss_gym.signals.groups import Signals
from autoloss_gym.signals.history import History

NO_FEATURES = np.zeros((1, 0), dtype=np.float32)


class LoopSignals:
    """The signals of one training run, which are complete once every loss and metric was told.

    An update only leaves plain numbers; tensors are made of them where a decision looks at them.

    Args:
        description: of the run.
        features: what is observed; None for infos alone.
        needs_validation: whether nothing is complete without metrics.
    """

    def __init__(
        self, description: RunDescription, features: Features | None, needs_validation: bool
    ) -> None:
        count = len(description.pairs)
        self._description = description
        self._features = features
        self._needs_validation = needs_validation
        self.steps = 0
        self.step_size = 1.0  # the factor of the last update
        # Of each loss, as it was last told.
        self._losses = [0.0] * count
        self._norms = [0.0] * count
        self._is_known = [False] * count
        self._is_refreshed = [False] * count
        self._history: History | None = None
        self._is_validated = False
        self._is_warned = not needs_validation

    @property
    def missing(self) -> list[int]:
        """Numbers of the losses that have never been told."""
        return [index for index, known in enumerate(self._is_known) if not known]

    @property
    def are_complete(self) -> bool:
        """Whether all that a decision looks at has been told."""
        return all(self._is_known) and (self._history is not None or not self._needs_validation)

    def tell(self, losses: Sequence[float | None], norms: Sequence[float | None]) -> None:
        """Take in losses and gradient norms, None where there is none.

        What is not finite leaves the last value.
        """
        for index, (loss, norm) in enumerate(zip(losses, norms, strict=True)):
            is_told = loss is not None and math.isfinite(loss + (norm or 0.0))
            self._is_refreshed[index] = is_told
            if is_told:
                assert loss is not None
                self._losses[index] = loss
                self._norms[index] = norm or 0.0
                self._is_known[index] = True

    def count_update(self, step_size: float) -> None:
        """Note that an update has been made; once, that a controller waits for a validation.

        Args:
            step_size: the factor on its learning rate.
        """
        self.steps += 1
        self.step_size = step_size
        self._is_validated = False
        late = 2 * self._description.validate_every + len(self._losses)
        if self.steps > late and not (self.are_complete or self._is_warned):
            self._is_warned = True
            warnings.warn(
                f"after {self.steps} updates the controller has not been told a validation: it "
                "takes the losses in turn until scheduler.validated(…) is called",
                RuntimeWarning,
                stacklevel=3,
            )

    def validated(self, values: Float[Tensor, "1 metrics"]) -> None:
        """Take in validation metrics; those that are not finite are not looked at."""
        self._is_validated = True
        valid = torch.isfinite(values).all(dim=1)
        if self._history:
            minimize = self._description.metric.minimize
            self._history.record_validation(values, valid, minimize)
        elif bool(valid):
            self._history = History.start(self._evaluation(), values, memory=0)

    def infos(self) -> dict[str, Any]:
        """What an environment tells of such a run."""
        history = self._history
        values = np.zeros((1, 1), np.float32) if history is None else history.validation.numpy()
        return {
            "losses": np.array([self._losses], dtype=np.float32),
            "gradient_norms": np.array([self._norms], dtype=np.float32),
            "losses_refreshed": np.array([self._is_refreshed]),
            "validation": values,
            "validation_refreshed": np.array([self._is_validated]),
            "steps": np.array([self.steps]),
        }

    def observe(
        self, parameters: Mapping[str, Tensor], shift: Float[Tensor, "1 entries"]
    ) -> np.ndarray:
        """Observations (1, features), float32."""
        history = self._history
        if history is None or not self._features:
            return NO_FEATURES
        latest = self._evaluation()
        history.losses, history.gradient_norms = latest.losses, latest.gradient_norms
        history.losses_refreshed = latest.measured
        history.steps.fill_(self.steps)
        history.step_size.fill_(self.step_size)
        extra = torch.zeros(1, 0, dtype=torch.float32, device="cpu")
        observed, _ = self._features(
            Signals(history=history, extra=extra, parameters=parameters, shift=shift)
        )
        return observed.numpy()

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values."""
        history = dataclasses.asdict(self._history) if self._history else None
        return {
            "steps": self.steps,
            "step_size": self.step_size,
            "losses": list(self._losses),
            "norms": list(self._norms),
            "is_known": list(self._is_known),
            "is_refreshed": list(self._is_refreshed),
            "is_validated": self._is_validated,
            "history": history,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the state was taken."""
        self.steps = int(state["steps"])
        # States that were stored before there was one do not have it.
        self.step_size = float(state.get("step_size", 1.0))
        self._losses = [float(value) for value in state["losses"]]
        self._norms = [float(value) for value in state["norms"]]
        self._is_known = [bool(value) for value in state["is_known"]]
        self._is_refreshed = [bool(value) for value in state["is_refreshed"]]
        self._is_validated = bool(state["is_validated"])
        stored = state["history"]
        self._history = None
        if stored is not None:
            known = {"step_size": torch.full_like(stored["best"], self.step_size), **stored}
            self._history = History(**{name: value.clone() for name, value in known.items()})

    def _evaluation(self) -> Evaluation:
        values = torch.tensor([self._losses, self._norms], dtype=torch.float32, device="cpu")
        refreshed = torch.tensor([self._is_refreshed], dtype=torch.bool, device="cpu")
        return Evaluation(losses=values[:1], gradient_norms=values[1:], measured=refreshed)
