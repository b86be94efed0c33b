"""The axis of the scores: linear, logarithmic, or broken where a few policies are far worse."""

import math
from typing import Any

import numpy as np

from ..rows import Benchmark, Row

GRAY = "#8a949e"
_REACH = 4  # times the usual distance from the best mean: policies beyond this are far
_LOG_RATIO = 5  # of an axis's ends, above which it is logarithmic


def score_axes(panel: Any, benchmark: Benchmark) -> list[Any]:
    """One axis, or the two parts of a broken one from left to right, with their limits."""
    near, far = near_and_far(benchmark)
    near_low, near_high = _extent(near)
    if not far or _is_wide(near_low, near_high):
        axes = panel.subplots()
        _set_scale(axes, *_extent(benchmark.rows))
        return [axes]

    # The parts share no score: where they would, the axis continues on another scale.
    low, high = _extent(far)
    if benchmark.metric.minimize:
        left, right = panel.subplots(1, 2, sharey=True, width_ratios=(3, 1))
        _set_scale(left, near_low, near_high)
        _set_scale(right, max(low, near_high), high, count=3)
    else:
        left, right = panel.subplots(1, 2, sharey=True, width_ratios=(1, 3))
        _set_scale(left, low, min(high, near_low), count=3)
        _set_scale(right, near_low, near_high)
    _mark_break(left, right)
    return [left, right]


def near_and_far(benchmark: Benchmark) -> tuple[list[Row], list[Row]]:
    """The rows, and apart those that would squeeze the others on one linear axis for all."""
    best = benchmark.rows[0].mean.value
    distances = {row.label: abs(row.mean.value - best) for row in benchmark.rows}
    others = sorted(distances.values())[1:]
    if len(others) < 2:
        return benchmark.rows, []
    widths = [row.mean.high - row.mean.low for row in benchmark.rows]
    usual = max(others[(len(others) - 1) // 2], float(np.median(widths)))
    reach = _REACH * usual
    if benchmark.reference:
        reach = max(reach, distances[benchmark.reference])
    near = [row for row in benchmark.rows if distances[row.label] <= reach]
    far = [row for row in benchmark.rows if distances[row.label] > reach]
    return near, far


def _extent(rows: list[Row]) -> tuple[float, float]:
    return min(row.mean.low for row in rows), max(row.mean.high for row in rows)


def _is_wide(low: float, high: float) -> bool:
    """Whether a logarithmic scale suits these ends."""
    return 0 < low < high / _LOG_RATIO


def _set_scale(axes: Any, low: float, high: float, count: int = 6) -> None:
    """Limits a little beyond these ends, and about `count` ticks."""
    from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

    if _is_wide(low, high):
        axes.set_xscale("log")
        margin = (high / low) ** 0.06
        low, high = low / margin, high * margin
        axes.xaxis.set_major_locator(FixedLocator(_log_ticks(low, high, count)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_title("log scale", loc="right", color=GRAY, fontsize="small")
    else:
        margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
        low, high = low - margin, high + margin
        # In a narrow part, one number that can be read is better than three that overlap.
        intervals, least = (count, 2) if count > 3 else (2, 1)
        locator = MaxNLocator(intervals, steps=[1, 2, 5, 10], min_n_ticks=least)
        axes.xaxis.set_major_locator(locator)
    axes.set_xlim(low, high)


def _log_ticks(low: float, high: float, count: int) -> list[float]:
    """As many round numbers between the ends as `count` allows."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    inside: list[float] = []
    for digits in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        ticks = [digit * float(f"1e{power}") for power in powers for digit in digits]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) <= count:
            return inside
    return inside[:: math.ceil(len(inside) / count)]


def _mark_break(left: Any, right: Any) -> None:
    """Two strokes where the axis is broken."""
    stroke: dict[str, Any] = {
        "marker": [(-0.5, -1), (0.5, 1)],
        "markersize": 9,
        "color": "black",
        "clip_on": False,
    }
    left.plot(1, 0, transform=left.transAxes, **stroke)
    right.plot(0, 0, transform=right.transAxes, **stroke)
    right.tick_params(labelleft=False)
