"""The picture of a benchmark: scores with intervals, the schedules behind them, distributions.

Left, every policy's mean with its interval. Where some policies are far worse than the others, the
axis is broken: a linear part for the many, another part for the far ones. Right, the course
of the schedules and the performance profiles, for the reference and the policies that react to what
they observe; these have a colour, all others are gray.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autoloss_gym.tools.files import replacing

from ..rows import Benchmark, Row
from ..statistics import performance_profile
from .score_axes import GRAY, near_and_far, score_axes

_GRID = "#e5e8ea"
_COLORS = (
    "#c0392b",
    "#2471a3",
    "#1e8449",
    "#b9770e",
    "#7d3c98",
    "#148f77",
)
# Where there are more policies than colours, these tell them apart: (of lines, of points).
_SHAPES: tuple[tuple[Any, str], ...] = (("solid", "o"), ((0, (5, 2)), "s"), ((0, (1.2, 1.4)), "^"))
_LONGEST = 24  # characters of a choice that is written beside the policy's name


@dataclass(frozen=True)
class _Style:
    color: str
    dashes: Any = "solid"
    marker: str = "o"

    @property
    def line(self) -> dict[str, Any]:
        """Keywords of a curve."""
        return {"color": self.color, "linestyle": self.dashes, "linewidth": 1.6}


def draw(benchmark: Benchmark, title: str, path: Path) -> None:
    """Write the picture as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    num_panels = len(_pairs_with_panels(benchmark))
    height = max(4.2, 0.3 * len(benchmark.rows) + 1.6, 1.4 * num_panels + 1.4)
    figure = Figure(figsize=(13, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    panels: Any = figure.subfigures(1, 2, width_ratios=(1.2, 2))
    scores, curves = panels
    styles = _styles(benchmark)
    _draw_scores(scores, benchmark, styles)
    _draw_curves(curves, benchmark, styles)
    heading = f"{title}: {len(benchmark.instances)} {benchmark.noun}"
    figure.suptitle(heading, fontsize="medium", x=0.01, ha="left")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def _styles(benchmark: Benchmark) -> dict[str, _Style]:
    """Each row's looks: black for the reference, gray for other policies that do not react."""
    styles = {row.label: _Style(GRAY) for row in benchmark.rows}
    looks = itertools.cycle(itertools.product(_SHAPES, _COLORS))
    for row, ((dashes, marker), color) in zip(_reactive(benchmark), looks, strict=False):
        styles[row.label] = _Style(color, dashes, marker)
    if benchmark.reference:
        styles[benchmark.reference] = _Style("black")
    return styles


def _reactive(benchmark: Benchmark) -> list[Row]:
    """Rows that react to what they observe, trained ones first, so that these differ in colour."""
    reactive = [row for row in benchmark.rows if row.reactive]
    return sorted(reactive, key=lambda row: not row.trained)


def _with_curves(benchmark: Benchmark) -> list[Row]:
    reference = [row for row in benchmark.rows if row.label == benchmark.reference]
    return [*reference, *_reactive(benchmark)] or benchmark.rows[: len(_COLORS)]


# Scores


def _draw_scores(panel: Any, benchmark: Benchmark, styles: dict[str, _Style]) -> None:
    rows = benchmark.rows[::-1]
    parts = score_axes(panel, benchmark)
    for axes in parts:
        for place, row in enumerate(rows):
            style = styles[row.label]
            ends = [row.mean.low, row.mean.high]
            axes.plot(ends, [place, place], color=style.color, linewidth=2)
            axes.plot(row.mean.value, place, style.marker, color=style.color, markersize=5.5)
            if row.label == benchmark.reference:
                axes.axvline(
                    row.mean.value, color=style.color, linewidth=0.8, dashes=(4, 3), zorder=0
                )
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.grid(color=_GRID, linewidth=0.8)
        axes.set_axisbelow(True)

    parts[0].set_yticks(range(len(rows)), [_label(row) for row in rows])
    for text, row in zip(parts[0].get_yticklabels(), rows, strict=True):
        text.set_color(styles[row.label].color if row.reactive else "black")
    direction = "lower" if benchmark.metric.minimize else "higher"
    label = f"{_name(benchmark)}: mean, 95 % interval ({direction} is better)"
    panel.supxlabel(label, fontsize="medium")


def _label(row: Row) -> str:
    """The row's name, with what was chosen where that is short."""
    if row.chosen and len(row.chosen) <= _LONGEST:
        return f"{row.label} → {row.chosen}"
    return row.label


def _name(benchmark: Benchmark) -> str:
    return benchmark.metric.name.replace("_", " ")


# Curves


def _draw_curves(panel: Any, benchmark: Benchmark, styles: dict[str, _Style]) -> None:
    """The schedules of every pair, if there are several, beside the profiles."""
    pairs = _pairs_with_panels(benchmark)
    if pairs:
        schedules, profiles = panel.subfigures(1, 2)
        _draw_schedules(schedules, benchmark, styles, pairs)
    else:
        profiles = panel
    axes = profiles.subplots()
    _draw_profiles(axes, benchmark, styles)
    handles, labels = axes.get_legend_handles_labels()
    panel.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)


def _pairs_with_panels(benchmark: Benchmark) -> list[int]:
    """Indices of the pairs whose shares are drawn; of two, the second is what the first leaves."""
    count = len(benchmark.pairs)
    if count < 2:
        return []
    return [0] if count == 2 else list(range(count))


def _draw_schedules(
    panel: Any, benchmark: Benchmark, styles: dict[str, _Style], pairs: list[int]
) -> None:
    grid = panel.subplots(len(pairs), 1, sharex=True, squeeze=False)
    for pair, axes in zip(pairs, grid[:, 0], strict=True):
        for row in _with_curves(benchmark):
            steps, levels = _smoothed(row, pair)
            axes.plot(steps, levels, **styles[row.label].line)
        axes.set(ylabel=benchmark.pairs[pair], ylim=(-0.02, 1.02), xlim=(0, None))
        _frame(axes)
    grid[-1, 0].set_xlabel("step of the training run")
    if len(pairs) > 1:
        panel.supylabel("share of each pair", fontsize="medium")
    else:
        first, second = benchmark.pairs
        grid[0, 0].set_ylabel(f"share of {first}\n(the rest is {second})")


def _smoothed(row: Row, pair: int, points: int = 25) -> tuple[np.ndarray, np.ndarray]:
    """The pair's share averaged over windows, and their middles, as long as runs last."""
    share = row.shares[:, pair]
    share = share[~np.isnan(share)]
    window = max(1, len(share) // points)
    count = len(share) // window
    middles = (np.arange(count) + 0.5) * window
    return middles, share[: count * window].reshape(count, window).mean(axis=1)


def _draw_profiles(axes: Any, benchmark: Benchmark, styles: dict[str, _Style]) -> None:
    levels = _levels(benchmark)
    for row in _with_curves(benchmark):
        band = performance_profile(row.figures, levels, benchmark.metric.minimize)
        style = styles[row.label]
        ends = (band.low, band.high)
        axes.fill_between(levels, *ends, color=style.color, alpha=0.1, linewidth=0)
        axes.plot(levels, band.value, **style.line, label=row.label, clip_on=False)
    axes.set(
        xlabel=f"{_name(benchmark)}: profile, 95 % band",
        ylabel="share of runs at least this good",
        ylim=(0, 1),
    )
    axes.margins(x=0)
    _frame(axes)


def _levels(benchmark: Benchmark, count: int = 200) -> np.ndarray:
    """Scores over the central mass of the rows that have curves and are not far, (count,)."""
    shown = _with_curves(benchmark)
    near = {row.label for row in near_and_far(benchmark)[0]}
    rows = [row for row in shown if row.label in near] or shown
    pooled = np.concatenate([row.figures.ravel() for row in rows])
    finite = pooled[np.isfinite(pooled)]
    low, high = np.quantile(finite, [0.01, 0.99]) if finite.size else (0.0, 1.0)
    return np.linspace(low, high, count)


def _frame(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
