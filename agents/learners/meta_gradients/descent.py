"""Steps of a meta-gradient descent on a vector of numbers."""

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from .options import MetaGradientOptions
from .tuned import Tuned
from .unrolling import MetaGradient

_BETAS = (0.9, 0.999)  # of Adam
_EPSILON = 1e-8


@dataclass
class Descent:
    """Where a descent has come to.

    Args:
        tuned: what the numbers mean.
        numbers: those so far, float64.
        moments: the first and second one of Adam, float64.
        steps: meta-steps that were made.
        skipped: meta-gradients of single runs, so far, that were not finite and left out.
    """

    tuned: Tuned
    numbers: Float[Tensor, " size"] = field(init=False)
    moments: Float[Tensor, "2 size"] = field(init=False)
    steps: int = 0
    skipped: int = 0

    def __post_init__(self) -> None:
        self.numbers = self.tuned.start()
        self.moments = torch.stack([torch.zeros_like(self.numbers)] * 2)

    @property
    def options(self) -> MetaGradientOptions:
        return self.tuned.options

    def step(self, found: MetaGradient) -> tuple[float, float]:
        """Go a step down the mean of the meta-gradients that are finite.

        Where none is, the numbers stay.

        Returns:
            The mean objective, and the norm of the mean meta-gradient, of the runs that count; NaN
            where none does.
        """
        gradients = found.gradients.double().cpu()
        values = found.values.double().cpu()
        finite = torch.isfinite(gradients).all(dim=1) & torch.isfinite(values)
        self.steps += 1
        self.skipped += len(finite) - int(finite.sum())
        if not finite.any():
            return math.nan, math.nan
        gradient = gradients[finite].mean(dim=0)
        norm = float(torch.linalg.vector_norm(gradient))
        if self.options.clip is not None and norm > self.options.clip:
            gradient = gradient * (self.options.clip / norm)
        moved = self.numbers - self._change(gradient)
        self.numbers = self.tuned.projected(moved)
        return float(values[finite].mean()), norm

    def _change(self, gradient: Float[Tensor, " size"]) -> Float[Tensor, " size"]:
        rate = self.options.meta_learning_rate
        if not self.options.uses_adam:
            return gradient * (rate / math.sqrt(self.steps))
        first, second = _BETAS
        self.moments[0] = first * self.moments[0] + (1 - first) * gradient
        self.moments[1] = second * self.moments[1] + (1 - second) * gradient.square()
        mean = self.moments[0] / (1 - first**self.steps)
        scale = torch.sqrt(self.moments[1] / (1 - second**self.steps)) + _EPSILON
        return rate * mean / scale
