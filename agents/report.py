"""A benchmark on paper: text table, JSON, CSV and a picture."""

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from agents.benchmark import Benchmark, Row
from agents.configuration import write_text
from agents.statistics import Estimate


def text_table(benchmark: Benchmark, pairs: list[str]) -> str:
    """The table as aligned text, with what a reader must know under it."""
    reference = benchmark.reference or "—"
    header = ["policy", "n", "mean [95 % interval]", "IQM", f"difference to {reference} [95 %]", f"share of {pairs[0]}"]
    lines = [header, *(_cells(row) for row in benchmark.rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    table.insert(1, "─" * max(map(len, table)))
    return "\n".join([*table, *_notes(benchmark)])


def _cells(row: Row) -> list[str]:
    seeds, problems = row.figures.shape
    count = str(problems) if seeds == 1 else f"{seeds}×{problems}"
    difference = "reference" if row.difference is None else _interval(row.difference, signed=True)
    share = f"{np.nanmean(row.shares[:, 0]):.2f}"
    return [row.label, count, _interval(row.mean), f"{row.interquartile_mean.value:.3f}", difference, share]


def _interval(estimate: Estimate, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return f"{estimate.value:{sign}.3f} [{estimate.low:{sign}.3f}, {estimate.high:{sign}.3f}]"


def _notes(benchmark: Benchmark) -> list[str]:
    direction = "lower" if benchmark.metric.minimize else "higher"
    notes = [f"{benchmark.metric.name} at the best validation so far; {direction} is better. n: (training seeds ×) problems."]
    chosen = [f"{row.label} → {row.chosen}" for row in benchmark.rows if row.chosen]
    if chosen:
        notes.append(f"Chosen on validation problems: {', '.join(chosen)}.")
    if benchmark.reference:
        notes.append(f"{benchmark.reference}: the best static schedule on validation problems; differences are paired.")
    if any(len(row.figures) > 1 for row in benchmark.rows):
        notes.append("Intervals of trained policies cover problems and training seeds; the others cover problems.")
    diverged = [f"{row.label} {row.diverged:.1%}" for row in benchmark.rows if row.diverged]
    return notes + ([f"Diverged runs: {', '.join(diverged)}."] if diverged else [])


def save_report(benchmark: Benchmark, pairs: list[str], folder: Path, command: dict[str, Any]) -> list[Path]:
    """Write table.txt, results.json, results.csv and figure.png; return their paths."""
    write_text(folder / "table.txt", text_table(benchmark, pairs) + "\n")
    write_text(folder / "results.json", json.dumps(_plain(benchmark, command), indent=1))
    write_text(folder / "results.csv", _long_csv(benchmark))
    draw(benchmark, pairs, folder / "figure.png")
    return [folder / name for name in ("table.txt", "results.json", "results.csv", "figure.png")]


def _plain(benchmark: Benchmark, command: dict[str, Any]) -> dict[str, Any]:
    rows = []
    for row in benchmark.rows:
        content = {name: value for name, value in asdict(row).items() if not isinstance(value, np.ndarray)}
        rows.append(content | {"best_scores": row.figures.tolist(), "scores": row.last_scores.tolist()})
    return {"command": command, "metric": asdict(benchmark.metric), "reference": benchmark.reference, "rows": rows}


def _long_csv(benchmark: Benchmark) -> str:
    """One line for each policy, training seed and problem."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["policy", "training_seed", "problem", "instance", "best_score", "score"])
    for row in benchmark.rows:
        for seed, (best, last) in enumerate(zip(row.figures, row.last_scores, strict=True)):
            for problem, instance in enumerate(benchmark.instances):
                writer.writerow([row.label, seed, problem, instance, best[problem], last[problem]])
    return buffer.getvalue()


def draw(benchmark: Benchmark, pairs: list[str], path: Path) -> None:
    """Two panels: the means with their intervals, and the share of the first pair in the course of training."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 (slow to import)
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(9.5, 0.32 * len(benchmark.rows) + 1.9), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    scores, schedule = figure.subplots(1, 2, width_ratios=(1.1, 1))
    _draw_scores(scores, benchmark)
    _draw_schedules(schedule, benchmark, pairs)
    figure.savefig(path)


def _color(row: Row) -> str:
    return "#7f8c99" if row.static else "#c0392b" if len(row.figures) > 1 or "(" in row.label else "#2874a6"


def _draw_scores(axes: Any, benchmark: Benchmark) -> None:
    for place, row in enumerate(reversed(benchmark.rows)):
        axes.plot([row.mean.low, row.mean.high], [place, place], color=_color(row), linewidth=2.2, solid_capstyle="round")
        axes.plot(row.mean.value, place, "o", color=_color(row), markersize=5)
        if row.label == benchmark.reference:
            axes.axvline(row.mean.value, color="#7f8c99", linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    values = [row.mean.value for row in benchmark.rows]
    if min(values) > 0 and max(values) > 4 * min(values):
        axes.set_xscale("log")
    axes.set_yticks(range(len(benchmark.rows)), [row.label for row in reversed(benchmark.rows)])
    direction = "lower" if benchmark.metric.minimize else "higher"
    axes.set_xlabel(f"{benchmark.metric.name.replace('_', ' ')} (mean, 95 % interval; {direction} is better)")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _draw_schedules(axes: Any, benchmark: Benchmark, pairs: list[str]) -> None:
    shown = [row for row in benchmark.rows if not row.static or row.label == benchmark.reference or row.chosen]
    styles = ["-", "--", ":", "-."]
    for index, row in enumerate(shown):
        share = row.shares[:, 0]
        window = max(1, len(share) // 30)
        count = len(share) // window * window
        level = np.nanmean(share[:count].reshape(-1, window), axis=1)
        style = styles[index % len(styles)]
        axes.plot((np.arange(len(level)) + 0.5) * window, level, style, color=_color(row), label=row.label, linewidth=1.6)
    axes.set(xlabel="step of the training run", ylabel=f"share of {pairs[0]}", ylim=(0, 1), xlim=(0, None))
    if shown:
        axes.legend(frameon=False, fontsize="small", loc="best")
    axes.spines[["top", "right"]].set_visible(False)
