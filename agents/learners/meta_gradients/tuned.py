"""What meta-gradients tune: step size and loss weights, at one or several moments of a run."""

import functools
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.controls.schedule import Schedule
from autoloss_gym.core.task import Control

from ...schedule_vectors import schedule_of
from .options import MetaGradientOptions

_LEAST = 1e-30  # the least step size of a schedule


@dataclass(frozen=True)
class Tuned:
    """Numbers that are tuned, as a vector: for each knot the logarithms of the weights of all pairs
    but the first, where these are tuned, and the step size or its logarithm.

    Args:
        options: which numbers.
        num_pairs: of the task.
        num_updates: of a run.
    """

    options: MetaGradientOptions
    num_pairs: int
    num_updates: int

    @property
    def size(self) -> int:
        """How many numbers."""
        return self.options.knots * self._columns

    @property
    def _columns(self) -> int:
        others = self.num_pairs - 1 if self.options.loss_weights else 0
        return others + (self.options.step_size != "fixed")

    def start(self) -> Float[Tensor, " size"]:
        """Equal weights and the first step size, float64."""
        knots = torch.zeros(self.options.knots, self._columns, dtype=torch.float64, device="cpu")
        start = torch.tensor(self.options.start, dtype=torch.float64, device="cpu")
        if self.options.step_size == "plain":
            knots[:, -1] = start
        if self.options.step_size == "log":
            knots[:, -1] = torch.log(start)
        return knots.flatten()

    def control(self, numbers: Float[Tensor, "num_envs size"], update: int) -> Control:
        """What each run's numbers do in one update; gradients flow through it."""
        knots = numbers.unflatten(1, (self.options.knots, self._columns))
        shares = self._shares(numbers.device, numbers.dtype)[update]
        values = (knots * shares[:, None]).sum(dim=1)

        step_size = torch.ones_like(numbers[:, 0])
        if self.options.step_size == "plain":
            step_size = values[:, -1]
        if self.options.step_size == "log":
            step_size = torch.exp(values[:, -1])
        weights = torch.ones_like(numbers[:, :1]).repeat(1, self.num_pairs)
        if self.options.loss_weights:
            logs = torch.cat([torch.zeros_like(values[:, :1]), values[:, : self.num_pairs - 1]], 1)
            weights = torch.softmax(logs, dim=1) * self.num_pairs
        return Control(weights=weights, step_size=step_size)

    def projected(self, numbers: Float[Tensor, " size"]) -> Float[Tensor, " size"]:
        """The nearest numbers that are allowed: a plain step size is not negative."""
        return numbers.clamp(min=0) if self.options.step_size == "plain" else numbers

    def schedule(self, numbers: Float[Tensor, " size"]) -> Schedule:
        """What the numbers stand for."""
        knots = numbers.detach().double().cpu().unflatten(0, (self.options.knots, self._columns))
        if self.options.step_size == "plain":
            knots = torch.cat([knots[:, :-1], torch.log(knots[:, -1:].clamp(min=_LEAST))], dim=1)
        if not self.options.loss_weights:
            others = torch.zeros(len(knots), self.num_pairs - 1, dtype=knots.dtype, device="cpu")
            knots = torch.cat([others, knots], dim=1)
        return schedule_of(knots.numpy(), step_size=self.options.step_size != "fixed")

    @functools.cache  # noqa: B019  (few instances, and their rows are small)
    def _shares(self, device: torch.device, dtype: torch.dtype) -> Float[Tensor, "updates knots"]:
        """The share of each knot in each update, as a `Schedule` has it."""
        updates = torch.arange(self.num_updates, dtype=dtype, device=device)
        places = updates / self.num_updates * (self.options.knots - 1)
        knots = torch.arange(self.options.knots, dtype=dtype, device=device)
        return (1 - (places[:, None] - knots).abs()).clamp(min=0)
