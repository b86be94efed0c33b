"""SoftAdapt: loss weights from the recent rate of change of each loss."""

import functools
import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.tools.names import unknown
from autoloss_gym.weightings import memory
from autoloss_gym.weightings.measurements import Measurements
from autoloss_gym.weightings.rule import WeightingRule

Slope = Literal["backward", "least_squares", "forward"]
_SLOPES = ("backward", "least_squares", "forward")
_VALUES = ("latest", "mean")


@dataclass(kw_only=True)
class SoftAdapt(WeightingRule):
    """Softmax of the losses' slopes (Heydari, Thompson, Mehmood: "SoftAdapt", arXiv 1912.12355).

    Original: α_k = exp(β s_k) / Σ_l exp(β s_l), with s_k the rate of change of loss k per measured
        value. `loss_weighted`:
    every term times the loss f_k. `normalized`: s / Σ_l |s_l| instead of s (0 where all slopes are
    0). The two combine. Losses to be maximised must be negated first. With `loss_weighted` a loss
    that is not positive gets weight 0.

    The weights are equal until every loss was measured twice. Slopes use the measured values alone,
    as many as there are until the window is full: a difference of order 3 begins as one of order 1,
    then 2.

    Args:
        beta: positive favours the loss that falls slowest, negative the one that falls fastest, 0
            none.
        normalized: divide the slopes by their L1 norm.
        loss_weighted: multiply by the loss.
        slope: "backward": the difference of accuracy `order` at the newest value; "least_squares":
            the line through the last `window` values, less noisy; "forward": the difference at the
            oldest of `order` + 1 values, as in the authors' code of 2023, for comparison only.
        order: accuracy of the difference, 1 to 4. Higher orders amplify noise.
        window: values that a line is fitted to, and that loss_value="mean" averages.
        loss_value: with `loss_weighted`, the "latest" value of each loss (the paper; the authors'
            code of 2020), or the "mean" of the last `window` (their code of 2023).
        prior, scale, every: see `WeightingRule`.
    """

    beta: float = 0.1
    normalized: bool = False
    loss_weighted: bool = False
    slope: Slope = "backward"
    order: int = 1
    window: int = 5
    loss_value: Literal["latest", "mean"] = "latest"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not math.isfinite(self.beta):
            raise ValueError(f"beta={self.beta}: expected a finite number")
        if self.slope not in _SLOPES:
            raise ValueError(unknown("slope", self.slope, _SLOPES))
        if self.loss_value not in _VALUES:
            raise ValueError(unknown("loss_value", self.loss_value, _VALUES))
        if self.order not in (1, 2, 3, 4):
            raise ValueError(
                f"order={self.order}: expected 1 to 4, because higher orders amplify noise; see slope='least_squares'"
            )
        if self.window < 2:
            raise ValueError(
                f"window={self.window}: expected at least 2 values, through which a line is fitted"
            )

    @property
    def _size(self) -> int:
        """Values of each loss that are kept."""
        needs_window = self.slope == "least_squares" or (
            self.loss_weighted and self.loss_value == "mean"
        )
        return max(self._points, self.window) if needs_window else self._points

    @property
    def _points(self) -> int:
        """Values that a slope uses."""
        return self.window if self.slope == "least_squares" else self.order + 1

    def _start(self, losses: Float[Tensor, "num_envs losses"]) -> dict[str, Any]:
        return memory.start(losses, self._size)

    def _weigh(
        self, state: dict[str, Any], measured: Measurements
    ) -> Float[Tensor, "num_envs losses"]:
        memory.remember(state, measured)
        history, seen = state["history"], state["seen"]
        slopes, averages = _coefficients(
            self.slope, self._points, self._size, history.device, history.dtype
        )
        latest = history[..., 0]
        changes = ((history - latest[..., None]) * slopes[seen]).sum(
            dim=-1
        )  # exactly 0 where a loss is constant
        if self.normalized:
            smallest = torch.finfo(changes.dtype).tiny
            changes = changes / changes.abs().sum(dim=1, keepdim=True).clamp(min=smallest)
        largest = torch.finfo(changes.dtype).max / 4
        exponents = (changes * self.beta).clamp(-largest, largest)
        if (
            self.loss_weighted
        ):  # as logarithms: the products of tiny or huge losses could not be represented
            values = (
                latest if self.loss_value == "latest" else (history * averages[seen]).sum(dim=-1)
            )
            exponents = exponents + torch.log(values.clamp(min=0))
        return torch.softmax(exponents, dim=1)


@functools.lru_cache(maxsize=64)
def _coefficients(
    slope: str, points: int, size: int, device: torch.device, dtype: torch.dtype
) -> tuple[Float[Tensor, "known size"], Float[Tensor, "known size"]]:
    """Slope and mean as sums over the history, newest first: row p holds the factors where p values
    are known.
    """
    blank, known = (
        [[math.nan] * size] * 2,
        range(2, size + 1),
    )  # one value has no slope: the weights are then equal
    rows = blank + [
        _slope_of(slope, min(p, points)) + [0.0] * (size - min(p, points)) for p in known
    ]
    means = blank + [[1 / p] * p + [0.0] * (size - p) for p in known]
    return torch.tensor(rows, device=device, dtype=dtype), torch.tensor(
        means, device=device, dtype=dtype
    )


def _slope_of(slope: str, points: int) -> list[float]:
    """Factors of so many equally spaced values, newest first, that give the derivative by their
    number.

    The difference of accuracy n at the newest value is Σ_k ∇ᵏf / k, so that its factors are Σ_k 1/k
    and (−1)ʲ C(n, j) / j (Fornberg: "Generation of finite difference formulas on arbitrarily spaced
    grids", Mathematics of Computation 51, 1988). The one at the oldest value is its mirror image.
    """
    order = points - 1
    if slope == "least_squares":
        return [12 * (order / 2 - j) / (points * (points * points - 1)) for j in range(points)]
    backward = [
        sum(1 / k for k in range(1, points)),
        *((-1) ** j * math.comb(order, j) / j for j in range(1, points)),
    ]
    return backward if slope == "backward" else [-factor for factor in reversed(backward)]
