"""The picture of a benchmark: scores with their intervals, and the schedules behind them."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from agents.benchmark import Benchmark, Row

_GRAY = "#8a949e"
_COLORS = ("#c0392b", "#2471a3", "#1e8449", "#b9770e", "#7d3c98", "#148f77")  # of policies that react to what they see
_WIDEST = 2.5  # scores beyond this multiple of the best are written instead of drawn


def draw(benchmark: Benchmark, pairs: list[str], title: str, path: Path) -> None:
    """Two panels: the means with their 95 % intervals, and the share of the first pair in the course of training."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 (slow to import)
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(9.5, 0.3 * len(benchmark.rows) + 1.8), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    scores, schedule = figure.subplots(1, 2, width_ratios=(1.15, 1))
    colors = _row_colors(benchmark)
    _draw_scores(scores, benchmark, colors)
    _draw_schedules(schedule, benchmark, pairs, colors)
    figure.suptitle(f"{title}: {len(benchmark.instances)} {benchmark.noun}", fontsize="medium", x=0.01, ha="left")
    temporary = path.with_name(f".{path.name}")
    figure.savefig(temporary, format="png")
    os.replace(temporary, path)


def _row_colors(benchmark: Benchmark) -> dict[str, str]:
    adaptive = [row.label for row in benchmark.rows if not row.static]
    colors = {label: _COLORS[index % len(_COLORS)] for index, label in enumerate(adaptive)}
    reference = {} if benchmark.reference is None else {benchmark.reference: "black"}
    return {row.label: _GRAY for row in benchmark.rows} | colors | reference


def _draw_scores(axes: Any, benchmark: Benchmark, colors: dict[str, str]) -> None:
    rows = benchmark.rows[::-1]
    values = [row.mean.value for row in rows]
    limit = _WIDEST * min(values) if benchmark.metric.minimize and min(values) > 0 else np.inf
    for place, row in enumerate(rows):
        color = colors[row.label]
        if row.mean.value > limit:
            axes.annotate(f"{row.mean.value:.2f} →", (1, place), xycoords=("axes fraction", "data"), ha="right", va="center",
                          color=color, fontsize="small")  # fmt: skip
            continue
        axes.plot([row.mean.low, row.mean.high], [place, place], color=color, linewidth=2, solid_capstyle="round")
        axes.plot(row.mean.value, place, "o", color=color, markersize=5.5)
        if row.label == benchmark.reference:
            axes.axvline(row.mean.value, color=color, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    axes.set_yticks(range(len(rows)), [f"{row.label} → {row.chosen}" if row.chosen else row.label for row in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    direction = "lower" if benchmark.metric.minimize else "higher"
    axes.set_xlabel(f"{benchmark.metric.name.replace('_', ' ')}: mean, 95 % interval ({direction} is better)")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e5e8ea", linewidth=0.8)
    axes.set_axisbelow(True)


def _draw_schedules(axes: Any, benchmark: Benchmark, pairs: list[str], colors: dict[str, str]) -> None:
    shown = [row for row in benchmark.rows if not row.static or row.label == benchmark.reference]
    for row in shown:
        steps, levels = _smoothed(row)
        axes.plot(steps, levels, color=colors[row.label], label=row.label, linewidth=1.6)
    axes.set(xlabel="step of the training run", ylabel=f"share of {pairs[0]} updates", ylim=(0, 1), xlim=(0, None))
    if shown:
        axes.legend(frameon=False, fontsize="small", loc="upper right")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e5e8ea", linewidth=0.8)
    axes.set_axisbelow(True)


def _smoothed(row: Row, points: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """The share of the first pair, averaged over windows, as long as runs last."""
    share = row.shares[~np.isnan(row.shares[:, 0]), 0]
    window = max(1, len(share) // points)
    count = len(share) // window
    return (np.arange(count) + 0.5) * window, share[: count * window].reshape(count, window).mean(axis=1)
