"""Weights that follow the number of calls: delayed starts, warm-ups and ramps."""

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.tools.names import shown
from autoloss_gym.weightings.boundary.arguments import listed_values, real_number
from autoloss_gym.weightings.measurements import Measurements
from autoloss_gym.weightings.rule import WeightingRule
from autoloss_gym.weightings.scaling import Scale
from autoloss_gym.weightings.single import Numbers, Single

Knot = tuple[int, float]  # a number of calls, and the weight at it
Knots = tuple[tuple[Knot, ...], ...]  # of each loss
Between = Literal["linear", "log"]


@dataclass
class TimeSchedule(WeightingRule):
    """Weights between given ones, by the number of calls since the run was reset.

        TimeSchedule([1.0, [(1000, 0.0), (2000, 10.0)]])

    leaves the second loss out for 1,000 calls and then raises its weight to 10 in 1,000 more. The
    weight of a loss is that of its first knot before it, and that of its last knot after it. If
    there are more losses than entries, the last entry is that of the others, too. At calls at which
    all are 0 the weights are equal.

    Args:
        knots: for each loss a number of at least 0, or pairs (calls, weight) whose calls increase.
        between: "linear" interpolation between knots, or "log" for that of the logarithms of the
            weights, which is linear where one of the two is 0.
        scale: None (default) leaves the weights as they are.
        prior, every: see `WeightingRule`.
    """

    reads_losses: ClassVar[bool] = False

    knots: Sequence[float | int | Sequence[Sequence[float | int]]]
    _: KW_ONLY
    between: Between = "linear"
    scale: Scale = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.knots = _checked(self.knots)

    @classmethod
    def delayed(
        cls, delay: int = 0, ramp: int = 1000, weight: float = 1.0, **options: Any
    ) -> "TimeSchedule":
        """Weight 1 for the first loss; the others start late, and rise.

        Args:
            delay: calls for which the others have weight 0.
            ramp: calls after them in which it rises to `weight`, at least 1.
            weight: of the others in the end.
            options: further arguments of the class.
        """
        return cls([1.0, [(delay, 0.0), (delay + ramp, weight)]], **options)

    def _start(self, losses: Float[Tensor, "num_envs losses"]) -> dict[str, Any]:
        count = losses.shape[1]
        if len(self.knots) > count:
            raise ValueError(
                f"knots={shown(self.knots)}: expected at most {count} entries, one for each loss"
            )
        return {}

    def _weigh(
        self, state: dict[str, Any], measured: Measurements
    ) -> Float[Tensor, "num_envs losses"]:
        losses = measured.losses
        knots = _filled(self.knots, losses.shape[1])
        starts, *columns = _table(knots, self.between, losses.device)
        time = state["calls"].to(torch.float64)[:, None]
        # The last knot that is not later; before the first, where the share is 0, the first.
        index = (time[..., None] >= starts).sum(dim=-1, keepdim=True).sub(1).clamp(min=0)
        start, length, weight, change, log_weight, log_change = (
            column.expand(len(losses), -1, -1).gather(-1, index)[..., 0]
            for column in (starts, *columns)
        )
        share = ((time - start) / length).clamp(0, 1)
        between = torch.exp(log_weight + share * log_change)
        weights = torch.where(torch.isnan(log_weight), weight + share * change, between)
        return weights.to(losses.dtype)

    def _weigh_one(self, single: Single) -> Numbers:
        time = single.state["calls"]
        weights, logs = [], []
        for segments in _segments(_filled(self.knots, len(single.losses)), self.between):
            earlier = [segment for segment in segments if segment[0] <= time] or segments[:1]
            start, length, weight, change, log_weight, log_change = earlier[-1]
            share = max((time - start) / length, 0.0)
            weights.append(weight + share * change)
            logs.append(log_weight + share * log_change)
        exponentials = torch.tensor(logs, dtype=torch.float64, device="cpu").exp_().tolist()
        pairs = zip(weights, exponentials, strict=True)
        return single.rounded([plain if math.isnan(log) else log for plain, log in pairs])


@functools.lru_cache(maxsize=64)
def _segments(knots: Knots, between: Between) -> list[list[tuple[float, ...]]]:
    """For each loss its segments: start, length, weight, change, and of its logarithm the same two.

    A segment that is not interpolated in logarithms has NaN for these.
    """
    segments = []
    for own in knots:
        closed = [(float(calls), weight) for calls, weight in (*own, (math.inf, own[-1][1]))]
        segments.append([_segment(*pair, between) for pair in itertools.pairwise(closed)])
    return segments


def _segment(
    first: tuple[float, float], second: tuple[float, float], between: Between
) -> tuple[float, ...]:
    (start, weight), (end, next_weight) = first, second
    logs = math.nan, math.nan
    if between == "log" and end < math.inf and weight > 0 and next_weight > 0:
        logs = math.log(weight), math.log(next_weight) - math.log(weight)
    return start, end - start, weight, next_weight - weight, *logs


@functools.lru_cache(maxsize=64)
def _table(
    knots: Knots, between: Between, device: torch.device
) -> list[Float[Tensor, "losses segments"]]:
    """The columns of the segments; those with fewer are filled up with some that never come."""
    segments = _segments(knots, between)
    most = max(map(len, segments))
    never = (math.inf,) * 6
    rows = [[*own, *[never] * (most - len(own))] for own in segments]
    return list(torch.tensor(rows, dtype=torch.float64, device=device).unbind(dim=-1))


def _filled(knots: Any, count: int) -> Knots:
    """The knots of each of so many losses."""
    return (*knots, *[knots[-1]] * (count - len(knots)))


def _checked(values: Any) -> Knots:
    """The knots of each loss, a number as one knot.

    Raises:
        ValueError: they are something else.
    """
    entries = listed_values(values)
    found = [_knots_of(entry) for entry in entries or []]
    knots = [own for own in found if own]
    if not knots or len(knots) < len(found):
        raise ValueError(
            f"knots={shown(values)}: expected for each loss a number from 0 to 1e30, or pairs "
            "(calls, weight) with increasing whole numbers of calls from 0 to 2**31"
        )
    return tuple(knots)


def _knots_of(entry: Any) -> tuple[Knot, ...]:
    """The knots of one loss; none where they are something else."""
    number = real_number(entry)
    pairs = [(0, number)] if number is not None else listed_values(entry) or []
    knots: list[Knot] = []
    for pair in pairs:
        calls, weight = map(real_number, _pair(pair))
        if calls is None or weight is None or not 0 <= weight <= 1e30:
            return ()
        least = knots[-1][0] + 1 if knots else 0
        if calls % 1 or not least <= calls <= 2**31:
            return ()
        knots.append((int(calls), weight))
    return tuple(knots)


def _pair(values: Any) -> list[Any]:
    listed = listed_values(values) or []
    return listed if len(listed) == 2 else [None, None]
