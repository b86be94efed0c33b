"""Schedules that depend on progress alone: loss weights and a step size."""

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.tools.bounds import Bounds
from autoloss_gym.tools.compiling import graph_constant
from autoloss_gym.tools.fields import check_fields

# In float32 the logarithm of much less is that of 0.
_Factor = Annotated[float, Bounds("a number from 1e-30 to 1e30", least=1e-30, most=1e30)]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Loss weights and a step size at equally spaced moments from the start to the end of a run.

    Between two moments their logarithms are linear. Of the weights only the ratios matter: they are
    played normalised to sum to the number of pairs, so that equal ones are plain training on the
    sum of all losses.

    Args:
        weights: from 1e-30 to 1e30, one row for each moment, one entry for each pair.
        step_size: factor on the task's learning rate at each moment, in the same range.

    Raises:
        ValueError: there is no moment, or the rows differ in length or number.
    """

    weights: tuple[tuple[_Factor, ...], ...]
    step_size: tuple[_Factor, ...]

    def __post_init__(self) -> None:
        check_fields(self)
        lengths = {len(row) for row in self.weights}
        if not (len(lengths) == 1 and min(lengths) and len(self.weights) == len(self.step_size)):
            raise ValueError(
                f"schedule with {len(self.weights)} rows of weights of lengths "
                f"{sorted(lengths)} and {len(self.step_size)} step sizes: expected as many rows as "
                "step sizes, at least one, each with one weight a pair"
            )

    @classmethod
    def constant(cls, num_pairs: int) -> "Schedule":
        """Plain training: every weight and the step size are 1 throughout."""
        return cls(weights=((1.0,) * num_pairs,), step_size=(1.0,))

    @property
    def num_pairs(self) -> int:
        return len(self.weights[0])

    def logs(
        self, progress: Float[Tensor, " moments"]
    ) -> tuple[Float[Tensor, "moments pairs"], Float[Tensor, " moments"]]:
        """Logarithms of the weights and of the step size.

        Args:
            progress: shares of the run that are over, from 0 to 1, float32.
        """
        knots = _knots(self, progress.device)
        place = progress * (len(knots) - 1)
        lower = place.long().clamp(max=max(len(knots) - 2, 0))
        upper = (lower + 1).clamp(max=len(knots) - 1)
        share = (place - lower)[:, None]
        values = knots[lower] * (1 - share) + knots[upper] * share
        return values[:, :-1], values[:, -1]


@graph_constant()
def _knots(schedule: Schedule, device: torch.device) -> Float[Tensor, "knots columns"]:
    """Logarithms at the knots, the step size in the last column."""
    rows = []
    for weights, step_size in zip(schedule.weights, schedule.step_size, strict=True):
        rows.append([*weights, step_size])
    return torch.log(torch.tensor(rows, dtype=torch.float32, device=device))
