"""Gradient descent on ½ wᵀHw in w itself: what overflows where a step size is too large."""

from dataclasses import dataclass, field

import torch

from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.task import Metric, Pair
from autoloss_gym.optimizers import SGD, Optimizer


@dataclass(frozen=True, kw_only=True)
class RawQuadratic(GradientTask):
    """Every run has the same diagonal H and start; no draws."""

    full_batch = True
    pairs = (Pair("value", ("point",)),)
    validation_metrics = (Metric("value"),)
    score_metrics = (Metric("value", worst=1e30),)

    eigenvalues: tuple[float, ...] = (4.0, 1.0)
    start: tuple[float, ...] = (0.6, 0.8)
    dtype: str = "float32"
    max_steps: int = 80
    validate_every: int = 1
    optimizer: Optimizer = field(default_factory=lambda: SGD(learning_rate=1.0))

    def make_data(self, keys):
        return {"eigenvalues": self._rows(self.eigenvalues, keys)}

    def initial_parameters(self, keys):
        return {"point": self._rows(self.start, keys)}

    def batch(self, data, keys):
        return data

    def losses(self):
        return {"value": _value}

    def validation_values(self, parameters, data):
        return _value(parameters, data)[:, None]

    def score_values(self, parameters, data):
        return _value(parameters, data)[:, None]

    def _rows(self, values, keys):
        dtype = getattr(torch, self.dtype)
        row = torch.tensor(values, dtype=dtype, device=keys.run.device)
        return row.repeat(len(keys.run), 1)


def _value(parameters, data):
    return (data["eigenvalues"] * parameters["point"].square()).sum(dim=1) / 2
