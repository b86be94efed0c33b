"""SoftAdapt: loss weights from the recent rate of change of each loss."""

import functools
import math
from dataclasses import KW_ONLY, dataclass
from operator import add, mul, sub, truediv
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.tools.bounds import Bounds, FiniteFloat
from autoloss_gym.weightings import memory
from autoloss_gym.weightings.measurements import Measurements
from autoloss_gym.weightings.rule import WeightingRule
from autoloss_gym.weightings.single import Numbers, Single

Slope = Literal["backward", "least_squares", "forward"]
Order = Annotated[
    int,
    Bounds(
        "1 to 4, because higher orders amplify noise; see slope='least_squares'", least=1, below=5
    ),
]
Window = Annotated[int, Bounds("a whole number from 2 to 10,000", least=2, below=10_001)]


@dataclass
class SoftAdapt(WeightingRule):
    """Softmax of the losses' slopes, α_k = exp(β s_k) / Σ_l exp(β s_l).

    The slope s_k is the rate of change of loss k per measured value. Of the paper's variants,
    `loss_weighted` multiplies each term by the loss f_k, and `normalized` takes s / Σ_l |s_l| in
    place of s (0 where all slopes are 0); the two combine. Losses to be maximised must be negated
    first. With `loss_weighted` a loss that is not positive gets weight 0.

    The weights are equal until every loss was measured twice, or with `flat_start` those of slopes
    of 0. Until the window is full, slopes use the values that there are: a difference of order 3
    begins as one of order 1, then 2.

    Source: Heydari, Thompson, Mehmood: "SoftAdapt", arXiv 1912.12355.

    Args:
        beta: β; positive favours the loss that falls most slowly, negative the one that falls
            fastest, 0 none.
        normalized: divide the slopes by their L1 norm.
        loss_weighted: multiply each term by the loss.
        slope: "backward", the difference of accuracy `order` at the newest value; "least_squares",
            the line through the last `window` values, less noisy; or "forward", the difference at
            the oldest of `order` + 1 values, as in the authors' code of 2023, for comparison only.
        order: accuracy of the difference, 1 to 4. Higher orders amplify noise.
        window: number of values that a line is fitted to, and that loss_value="mean" averages.
        loss_value: with `loss_weighted`, the "latest" value of each loss (the paper; the authors'
            code of 2020), or the "mean" of the last `window` (their code of 2023).
        flat_start: take 0 for the slope of a loss that was measured once. With `loss_weighted` the
            first weights are then ∝ the losses, else they are equal all the same.
        prior, scale, every, reduce: see `WeightingRule`.
    """

    beta: FiniteFloat = 0.1
    _: KW_ONLY
    normalized: bool = False
    loss_weighted: bool = False
    slope: Slope = "backward"
    order: Order = 1
    window: Window = 5
    loss_value: Literal["latest", "mean"] = "latest"
    flat_start: bool = False

    @property
    def _size(self) -> int:
        """Number of values of each loss that are kept."""
        averages = self.loss_weighted and self.loss_value == "mean"
        return max(self._points, self.window) if averages else self._points

    @property
    def _points(self) -> int:
        """Number of values that a slope uses."""
        return self.window if self.slope == "least_squares" else self.order + 1

    def _start(self, losses: Float[Tensor, "num_envs losses"]) -> dict[str, Any]:
        return memory.start(losses, self._size)

    def _weigh(
        self, state: dict[str, Any], measured: Measurements
    ) -> Float[Tensor, "num_envs losses"]:
        memory.remember(state, measured)
        history, seen = state["history"], state["seen"]
        slopes, averages = _coefficients(
            self.slope, self._points, self._size, self.flat_start, history.device, history.dtype
        )

        # Differences to the latest value make the slope of a constant loss exactly 0.
        latest = history[..., 0]
        changes = ((history - latest[..., None]) * slopes[seen]).sum(dim=-1)
        if self.normalized:
            smallest = torch.finfo(changes.dtype).tiny
            changes = changes / changes.abs().sum(dim=1, keepdim=True).clamp(min=smallest)

        # Softmax subtracts the largest exponent: a quarter of the range leaves room for that.
        largest = torch.finfo(changes.dtype).max / 4
        exponents = (changes * self.beta).clamp(-largest, largest)
        if self.loss_weighted:
            values = latest
            if self.loss_value == "mean":
                values = (history * averages[seen]).sum(dim=-1)
            # Factors become summands: products with tiny or huge losses would under- or overflow.
            exponents = exponents + torch.log(values.clamp(min=0))
        return torch.softmax(exponents, dim=1)

    def _weigh_one(self, single: Single) -> Numbers | None:
        history = memory.remember_one(single)
        if history is None:
            return None
        slopes, averages = _factors_of_full(self.slope, self._points, self._size, single.like.dtype)
        changes = []
        for values in history:
            differences = single.each(sub, values, values[0])
            changes.append(single.total(single.each(mul, differences, slopes)))
        if self.normalized:
            whole = single.total([abs(change) for change in changes])
            divisor = max(whole, torch.finfo(single.like.dtype).tiny)
            changes = single.each(truediv, changes, divisor)

        largest = torch.finfo(single.like.dtype).max / 4
        exponents = single.each(mul, changes, single.number(self.beta))
        exponents = [min(max(exponent, -largest), largest) for exponent in exponents]
        if self.loss_weighted:
            values = single.losses
            if self.loss_value == "mean":
                values = [single.total(single.each(mul, each, averages)) for each in history]
            positive = single.tensor([max(value, 0.0) for value in values])
            exponents = single.each(add, exponents, positive.log_().tolist())
        return torch.softmax(single.tensor(exponents), dim=0).tolist()


@functools.lru_cache(maxsize=64)
def _coefficients(
    slope: str,
    points: int,
    size: int,
    flat_start: bool,
    device: torch.device,
    dtype: torch.dtype,
) -> tuple[Float[Tensor, "known size"], Float[Tensor, "known size"]]:
    """Slope and mean as weighted sums over the history, newest first.

    Row p holds the factors for a loss of which p values are known.
    """
    # No value or one has no slope: NaN, upon which the rule gives equal weights.
    slopes = [[math.nan] * size] * 2
    means = [[math.nan] * size] * 2
    if flat_start:
        slopes[1] = [0.0] * size
        means[1] = [1.0] + [0.0] * (size - 1)
    for known in range(2, size + 1):
        used = min(known, points)
        slopes.append(_slope_factors(slope, used) + [0.0] * (size - used))
        means.append([1 / known] * known + [0.0] * (size - known))
    return (
        torch.tensor(slopes, device=device, dtype=dtype),
        torch.tensor(means, device=device, dtype=dtype),
    )


@functools.lru_cache(maxsize=64)
def _factors_of_full(
    slope: str, points: int, size: int, dtype: torch.dtype
) -> tuple[Numbers, Numbers]:
    """The factors for a loss all of whose `size` values are known."""
    # A memory that is full holds two values or more: how it started makes no difference.
    slopes, means = _coefficients(slope, points, size, False, torch.device("cpu"), dtype)
    return slopes[-1].tolist(), means[-1].tolist()


def _slope_factors(slope: str, points: int) -> list[float]:
    """Factors of equally spaced values, newest first, whose weighted sum is the derivative.

    The difference of accuracy n at the newest value is Σ_k ∇ᵏf / k, so its factors are Σ_k 1/k and
    (−1)ʲ C(n, j) / j (Fornberg: "Generation of finite difference formulas on arbitrarily spaced
    grids", Mathematics of Computation 51, 1988). The one at the oldest value is its mirror image.
    """
    order = points - 1
    if slope == "least_squares":
        return [12 * (order / 2 - j) / (points * (points * points - 1)) for j in range(points)]
    newest = sum(1 / k for k in range(1, points))
    older = [(-1) ** j * math.comb(order, j) / j for j in range(1, points)]
    backward = [newest, *older]
    if slope == "forward":
        return [-factor for factor in reversed(backward)]
    return backward
