"""What a loop of one's own has told so far, as observations and infos of an environment."""

import dataclasses
from collections.abc import Mapping
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

_NOTHING = np.zeros((1, 0), dtype=np.float32)


class LoopSignals:
    """The signals of one training run, which are complete once every loss and metric was told.

    Args:
        description: of the run.
        features: what is observed; None for infos alone.
        needs_validation: whether nothing is complete without metrics.
    """

    def __init__(
        self, description: RunDescription, features: Features | None, needs_validation: bool
    ) -> None:
        self._description = description
        self._features = features
        self._needs_validation = needs_validation
        self.history: History | None = None
        self.steps = 0
        self._weight_sums = torch.zeros(1, len(description.pairs), dtype=torch.float32)
        self._first = Evaluation(
            losses=torch.zeros_like(self._weight_sums),
            gradient_norms=torch.zeros_like(self._weight_sums),
            measured=torch.zeros_like(self._weight_sums, dtype=torch.bool),
        )
        self._validation: Tensor | None = None
        self._is_validated = False

    @property
    def missing(self) -> list[int]:
        """Numbers of the losses that have never been told."""
        return (~self._first.measured[0]).nonzero().flatten().tolist()

    def begin(self, evaluation: Evaluation, validation: Float[Tensor, "1 metrics"]) -> None:
        """Take in every loss, norm and metric before the first update."""
        self._first, self._validation = evaluation, validation
        self._is_validated = True
        self._start_if_complete()

    def record(self, evaluation: Evaluation, weights: Float[Tensor, "1 pairs"]) -> None:
        """Take in an update: what it measured, and the weights that it gave to the pairs."""
        self.steps += 1
        self._is_validated = False
        if self.history:
            self.history.record_update(evaluation, weights)
            return
        self._weight_sums += weights / weights.sum().clamp(min=1e-30)
        first, new = self._first, evaluation.measured
        self._first = Evaluation(
            losses=torch.where(new, evaluation.losses, first.losses),
            gradient_norms=torch.where(new, evaluation.gradient_norms, first.gradient_norms),
            measured=first.measured | new,
        )
        self._start_if_complete()

    def validated(self, values: Float[Tensor, "1 metrics"]) -> None:
        """Take in validation metrics; those that are not finite are not looked at."""
        self._is_validated = True
        if self.history:
            valid = torch.isfinite(values).all(dim=1)
            self.history.record_validation(values, valid, self._description.metric.minimize)
        elif torch.isfinite(values).all():
            self._validation = values
            self._start_if_complete()

    def observe(
        self, parameters: Mapping[str, Tensor], shift: Float[Tensor, "1 entries"]
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Observations (1, features), and the infos that an environment has of them."""
        history = self.history
        if not history:
            return _NOTHING, {"steps": np.array([self.steps])}
        infos = {
            "losses": history.losses.numpy(),
            "gradient_norms": history.gradient_norms.numpy(),
            "losses_refreshed": history.losses_refreshed.numpy(),
            "validation": history.validation.numpy(),
            "validation_refreshed": np.array([self._is_validated]),
            "steps": np.array([self.steps]),
        }
        if not self._features:
            return _NOTHING, infos
        extra = torch.zeros(1, 0, dtype=torch.float32)
        observed, _ = self._features(
            Signals(history=history, extra=extra, parameters=parameters, shift=shift)
        )
        return observed.numpy(), infos

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values."""
        history = dataclasses.asdict(self.history) if self.history else None
        return {
            "steps": self.steps,
            "weight_sums": self._weight_sums.clone(),
            "first": dataclasses.asdict(self._first),
            "validation": self._validation,
            "is_validated": self._is_validated,
            "history": history,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the state was taken."""
        self.steps = int(state["steps"])
        self._weight_sums = state["weight_sums"].clone()
        self._first = Evaluation(**state["first"])
        self._validation = state["validation"]
        self._is_validated = bool(state["is_validated"])
        stored = state["history"]
        self.history = None
        if stored is not None:
            self.history = History(**{name: value.clone() for name, value in stored.items()})

    def _start_if_complete(self) -> None:
        validation = self._validation
        if validation is None:
            if self._needs_validation:
                return
            count = len(self._description.validation_metrics)
            validation = torch.zeros(1, count, dtype=torch.float32)
        if not bool(self._first.measured.all()):
            return
        self.history = History.start(self._first, validation, memory=0)
        self.history.steps += self.steps
        self.history.weight_sums += self._weight_sums
