"""A benchmark on paper: text table, JSON and CSV."""

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from agents.benchmark import Benchmark, Row
from agents.configuration import write_text
from agents.figure import draw
from agents.statistics import Estimate

MIN_SEEDS = 5  # of a trained policy, for an interval that means something


def text_table(benchmark: Benchmark, pairs: list[str]) -> str:
    """The table as aligned text, with what a reader must know under it."""
    reference = benchmark.reference or "—"
    header = ["policy", "n", "mean [95 % interval]", "IQM", f"difference to {reference} [95 %]", f"share of {pairs[0]}"]
    lines = [header, *(_cells(row, row.label == benchmark.reference) for row in benchmark.rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    table.insert(1, "─" * max(map(len, table)))
    return "\n".join([*table, *_notes(benchmark)])


def _cells(row: Row, is_reference: bool) -> list[str]:
    seeds, problems = row.figures.shape
    count = str(problems) if seeds == 1 else f"{seeds}×{problems}"
    difference = "reference" if is_reference else "—" if row.difference is None else _interval(row.difference, signed=True)
    share = f"{np.nanmean(row.shares[:, 0]):.2f}"
    return [row.label, count, _interval(row.mean), f"{row.interquartile_mean.value:.3f}", difference, share]


def _interval(estimate: Estimate, signed: bool = False) -> str:
    sign = "+" if signed else ""
    if estimate.low == estimate.high:  # a single figure has no interval
        return f"{estimate.value:{sign}.3f}"
    return f"{estimate.value:{sign}.3f} [{estimate.low:{sign}.3f}, {estimate.high:{sign}.3f}]"


def _notes(benchmark: Benchmark) -> list[str]:
    direction = "lower" if benchmark.metric.minimize else "higher"
    notes = [
        f"{benchmark.metric.name} at the best validation so far; {direction} is better. n: (training seeds ×) {benchmark.noun}."
    ]
    chosen = [f"{row.label} → {row.chosen}" for row in benchmark.rows if row.chosen]
    if chosen:
        notes.append(f"Chosen on validation {benchmark.noun}: {', '.join(chosen)}.")
    if benchmark.reference:
        notes.append(f"{benchmark.reference}: the best static schedule on validation {benchmark.noun}; differences are paired.")
    few = [f"{row.label} {len(row.figures)}" for row in benchmark.rows if row.trained and len(row.figures) < MIN_SEEDS]
    if few:
        notes.append(f"Training seeds: {', '.join(few)}; fewer than {MIN_SEEDS} do not tell how training varies.")
    if benchmark.noun == "resamples":
        notes.append(
            "All runs share one test part: intervals cover initialisation and resampling, not the choice of test data."
        )
    if any(len(row.figures) > 1 for row in benchmark.rows):
        notes.append(
            f"Intervals of trained policies cover {benchmark.noun} and training seeds; the others cover {benchmark.noun}."
        )
    diverged = [f"{row.label} {row.diverged:.1%}" for row in benchmark.rows if row.diverged]
    return notes + ([f"Diverged runs: {', '.join(diverged)}."] if diverged else [])


def save_report(benchmark: Benchmark, pairs: list[str], title: str, folder: Path, command: dict[str, Any]) -> list[Path]:
    """Write table.txt, results.json, results.csv and figure.png; return their paths."""
    write_text(folder / "table.txt", text_table(benchmark, pairs) + "\n")
    write_text(folder / "results.json", json.dumps(_plain(benchmark, command), indent=1))
    write_text(folder / "results.csv", _long_csv(benchmark))
    draw(benchmark, pairs, title, folder / "figure.png")
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
