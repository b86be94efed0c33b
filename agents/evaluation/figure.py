"""The picture of a benchmark: scores with their intervals, the schedules behind them, and how the
scores are distributed.
"""

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from autoloss_gym.tools.files import replacing

from .comparison import Benchmark, Row
from .statistics import performance_profile

_GRAY = "#8a949e"
_COLORS = (
    "#c0392b",
    "#2471a3",
    "#1e8449",
    "#b9770e",
    "#7d3c98",
    "#148f77",
)  # of policies that react to what they see
_LONGEST = 24  # characters of a choice that is written
_WIDEST = 2.5  # scores beyond this multiple of the reference, or of the best, are written instead of drawn


def draw(benchmark: Benchmark, title: str, path: Path) -> None:
    """Three panels: means with 95 % intervals, the share of the first pair in the course of
    training, performance profiles.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 (slow to import)
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(
        figsize=(13, max(3.2, 0.3 * len(benchmark.rows) + 1.8)), dpi=150, layout="constrained"
    )
    FigureCanvasAgg(figure)
    scores, schedule, profile = figure.subplots(1, 3, width_ratios=(1.15, 1, 1))
    colors = _row_colors(benchmark)
    _draw_scores(scores, benchmark, colors)
    _draw_schedules(schedule, benchmark, colors)
    _draw_profiles(profile, benchmark, colors)
    figure.suptitle(
        f"{title}: {len(benchmark.instances)} {benchmark.noun}",
        fontsize="medium",
        x=0.01,
        ha="left",
    )
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def _row_colors(benchmark: Benchmark) -> dict[str, str]:
    reference, adaptive = _shown(benchmark)
    colors = {row.label: color for row, color in zip(adaptive, _COLORS, strict=False)}
    return (
        {row.label: _GRAY for row in benchmark.rows}
        | colors
        | {row.label: "black" for row in reference}
    )


def _label(row: Row) -> str:
    """The row's name, with what was chosen where that is short."""
    return (
        f"{row.label} → {row.chosen}" if row.chosen and len(row.chosen) <= _LONGEST else row.label
    )


def _draw_scores(axes: Any, benchmark: Benchmark, colors: dict[str, str]) -> None:
    rows = benchmark.rows[::-1]
    limit = _limit(benchmark)
    for place, row in enumerate(rows):
        color = colors[row.label]
        if row.mean.value > limit:
            axes.annotate(f"{row.mean.value:.3g} →", (1, place), xycoords=("axes fraction", "data"), ha="right", va="center",
                          color=color, fontsize="small")  # fmt: skip
            continue
        axes.plot(
            [row.mean.low, row.mean.high],
            [place, place],
            color=color,
            linewidth=2,
            solid_capstyle="round",
        )
        axes.plot(row.mean.value, place, "o", color=color, markersize=5.5)
        if row.label == benchmark.reference:
            axes.axvline(
                row.mean.value, color=color, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0
            )
    axes.set_yticks(range(len(rows)), [_label(row) for row in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    direction = "lower" if benchmark.metric.minimize else "higher"
    axes.set_xlabel(f"{_name(benchmark)}: mean, 95 % interval ({direction} is better)")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=6)
    axes.grid(axis="x", color="#e5e8ea", linewidth=0.8)
    axes.set_axisbelow(True)


def _limit(benchmark: Benchmark) -> float:
    """The greatest mean that is drawn."""
    values = [row.mean.value for row in benchmark.rows if benchmark.reference in (None, row.label)]
    return _WIDEST * min(values) if benchmark.metric.minimize and min(values) > 0 else np.inf


def _name(benchmark: Benchmark) -> str:
    return benchmark.metric.name.replace("_", " ")


def _shown(benchmark: Benchmark) -> tuple[list[Row], list[Row]]:
    """The rows that have curves: the reference, and as many that react to what they see as there
    are colours, trained first.
    """
    reference = [row for row in benchmark.rows if row.label == benchmark.reference]
    adaptive = [
        row for row in benchmark.rows if not row.static and row.label != benchmark.reference
    ]
    return reference, sorted(adaptive, key=lambda row: not row.trained)[: len(_COLORS)]


def _draw_schedules(axes: Any, benchmark: Benchmark, colors: dict[str, str]) -> None:
    for row in itertools.chain(*_shown(benchmark)):
        steps, levels = _smoothed(row)
        axes.plot(steps, levels, color=colors[row.label], label=row.label, linewidth=1.6)
    axes.set(
        xlabel="step of the training run",
        ylabel=f"share of {benchmark.pairs[0]} updates",
        ylim=(0, 1),
        xlim=(0, None),
    )
    axes.legend(frameon=False, fontsize="small", loc="best")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e5e8ea", linewidth=0.8)
    axes.set_axisbelow(True)


def _draw_profiles(axes: Any, benchmark: Benchmark, colors: dict[str, str]) -> None:
    levels = _levels(benchmark)
    for row in itertools.chain(*_shown(benchmark)):
        band = performance_profile(row.figures, levels, benchmark.metric.minimize)
        axes.fill_between(
            levels, band.low, band.high, color=colors[row.label], alpha=0.13, linewidth=0
        )
        axes.plot(levels, band.value, color=colors[row.label], linewidth=1.6, clip_on=False)
    axes.set(
        xlabel=f"{_name(benchmark)}: profile, 95 % band",
        ylabel="share of runs at least this good",
        ylim=(0, 1),
    )
    axes.margins(x=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e5e8ea", linewidth=0.8)
    axes.set_axisbelow(True)


def _levels(benchmark: Benchmark, count: int = 200) -> np.ndarray:
    """Scores over the central mass of the rows that have curves, (count,); rows beyond the limit
    only run into it.
    """
    shown, limit = list(itertools.chain(*_shown(benchmark))), _limit(benchmark)
    rows = [row for row in shown if row.mean.value <= limit] or shown
    pooled = np.concatenate([row.figures.ravel() for row in rows])
    finite = pooled[np.isfinite(pooled)]
    low, high = np.quantile(finite, [0.01, 0.99]) if finite.size else (0.0, 1.0)
    return np.linspace(low, high, count)


def _smoothed(row: Row, points: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """The share of the first pair, averaged over windows, as long as runs last."""
    share = row.shares[~np.isnan(row.shares[:, 0]), 0]
    window = max(1, len(share) // points)
    count = len(share) // window
    return (np.arange(count) + 0.5) * window, share[: count * window].reshape(count, window).mean(
        axis=1
    )
