"""The picture of headroom: what each way gains, and which problems gain."""

import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from autoloss_gym.tools.files import replacing

from ..headroom.advice import Advice, rule_of
from ..headroom.measure import Headroom

_COLORS = {
    "constant": "#7f8c8d",
    "timing": "#2471a3",
    "search": "#1e8449",
    "bound": "#b9770e",
    "rule": "#c0392b",
}
_BINS = 8
_LONGEST = 120  # characters of a line of the title


def draw(headroom: Headroom, advice: Advice, title: str, path: Path) -> None:
    """Write the picture: left the rows of the table, right the gain of every problem."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 0.28 * len(advice.gains) + 2.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=[1.2, 1])
    _draw_gains(left, headroom, advice)
    _draw_problems(right, headroom)
    figure.suptitle(textwrap.fill(title, _LONGEST), fontsize="medium")
    with replacing(path) as file:
        figure.savefig(file, dpi=150, format="png")


def _draw_gains(axes: Any, headroom: Headroom, advice: Advice) -> None:
    places = np.arange(len(advice.gains))[::-1]
    for place, gain in zip(places, advice.gains, strict=True):
        color = _COLORS[gain.question]
        estimate = gain.gain
        axes.plot([estimate.low, estimate.high], [place, place], color=color, linewidth=2)
        axes.plot(estimate.value, place, "o", color=color, markersize=5)
    axes.axvline(0, color="black", linewidth=0.8)
    labels = [f"{gain.label}, over {gain.reference}" for gain in advice.gains]
    axes.set_yticks(places, labels, fontsize="small")
    axes.set_xscale("symlog", linthresh=_threshold(advice))
    axes.set_xlabel(f"gain of {headroom.metric.name}, 95 % interval (linear near 0, else log)")


def _threshold(advice: Advice) -> float:
    """Where the axis becomes logarithmic: the median size of a gain, or of its interval."""
    sizes = [max(abs(gain.gain.low), abs(gain.gain.high)) for gain in advice.gains]
    return float(np.median(sizes)) or 1.0


def _draw_problems(axes: Any, headroom: Headroom) -> None:
    """The gain of each problem against how badly the open loop fits it."""
    sign = headroom.sign
    reaction = rule_of(headroom)
    count = max(headroom.best_of)
    misfit = sign * (headroom.schedule - headroom.best_of[count])
    ways = [
        ("clairvoyant shift", reaction.clairvoyant, _COLORS["bound"], 5),
        ("fitted rule", reaction.fitted, _COLORS["rule"], 9),
    ]
    order = np.argsort(misfit, kind="stable")
    parts = [part for part in np.array_split(order, _BINS) if len(part)]
    shown = []
    for label, scores, color, size in ways:
        gains = sign * (headroom.best_blind - scores)
        shown.append(gains)
        axes.scatter(misfit, gains, s=size, color=color, alpha=0.4, linewidths=0)
        centers = [misfit[part].mean() for part in parts]
        means = [gains[part].mean() for part in parts]
        axes.plot(centers, means, "o-", color=color, markersize=4, label=f"{label}, eighths")
    axes.axhline(0, color="black", linewidth=0.8)
    axes.axvline(0, color="black", linewidth=0.8)
    # A few extreme problems would press all others into a point.
    axes.set_xlim(*_middle(misfit))
    axes.set_ylim(*_middle(np.concatenate(shown)))
    axes.set_xlabel(f"misfit: open loop beyond the best of {count} constants")
    axes.set_ylabel(f"gain over the best blind schedule, shift at {reaction.moment:.0%}")
    axes.legend(frameon=False, fontsize="small")


def _middle(values: np.ndarray) -> tuple[float, float]:
    """Ends between which most of the values lie, a little apart."""
    low, high = np.quantile(values, [0.02, 0.98])
    margin = 0.1 * (high - low) or 1.0
    return float(low - margin), float(high + margin)
