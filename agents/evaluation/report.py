"""A benchmark on paper: text table, JSON and CSV."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from autoloss_gym.core.task import Task
from autoloss_gym.tools.files import write_text

from .comparison import Benchmark, Row
from .figure import draw
from .statistics import Estimate

MIN_SEEDS = 5  # of a trained policy, for an interval that means something


def text_table(benchmark: Benchmark, warnings: Sequence[str] = ()) -> str:
    """The table as aligned text, with what a reader must know under it, `warnings` at last."""
    lines = _lines(benchmark)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    table.insert(1, "─" * max(map(len, table)))
    return "\n".join([*table, *_notes(benchmark), *warnings])


def markdown_table(benchmark: Benchmark, warnings: Sequence[str] = ()) -> str:
    """The same as Markdown."""
    lines = _lines(benchmark)
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(
        [*(f"| {' | '.join(line)} |" for line in lines), "", *_notes(benchmark), *warnings]
    )


def _lines(benchmark: Benchmark) -> list[list[str]]:
    """The cells of the heading and of every row."""
    comparison = (
        [f"difference to {benchmark.reference} [95 %]", "P(better) [95 %]"]
        if benchmark.reference
        else []
    )
    shown = benchmark.pairs[:-1] or benchmark.pairs  # the last share follows from the others
    header = [
        "policy",
        "n",
        "mean [95 % interval]",
        "IQM",
        *comparison,
        f"share of {'/'.join(shown)}",
    ]
    return [
        header,
        *(
            _cells(row, _comparison(row) if comparison else [], len(shown))
            for row in benchmark.rows
        ),
    ]


def _cells(row: Row, comparison: list[str], num_shares: int) -> list[str]:
    seeds, problems = row.figures.shape
    count = str(problems) if seeds == 1 else f"{seeds}×{problems}"
    share = "/".join(f"{value:.2f}" for value in np.nanmean(row.shares, axis=0)[:num_shares])
    return [
        row.label,
        count,
        _interval(row.mean),
        f"{row.interquartile_mean.value:.3f}",
        *comparison,
        share,
    ]


def _comparison(row: Row) -> list[str]:
    if row.difference is None or row.improvement is None:
        return ["reference", "—"]
    return [_interval(row.difference, "+.3f"), _interval(row.improvement, ".2f")]


def _interval(estimate: Estimate, form: str = ".3f") -> str:
    if estimate.low == estimate.high:  # a single figure has no interval
        return f"{estimate.value:{form}}"
    return f"{estimate.value:{form}} [{estimate.low:{form}}, {estimate.high:{form}}]"


def _notes(benchmark: Benchmark) -> list[str]:
    direction = "lower" if benchmark.metric.minimize else "higher"
    notes = [
        f"{benchmark.metric.name} at the best validation so far; {direction} is better. n: (training seeds ×) {benchmark.noun}."
    ]
    chosen = [f"{row.label} → {row.chosen}" for row in benchmark.rows if row.chosen]
    if chosen:
        notes.append(f"Chosen on validation {benchmark.noun}: {', '.join(chosen)}.")
    if benchmark.reference:
        notes.append(
            f"{benchmark.reference}: the best static schedule on validation {benchmark.noun}; differences are paired."
        )
        notes.append(
            f"P(better): probability of a better score than {benchmark.reference} in a paired run; a tie counts one half."
        )
    few = [
        f"{row.label} {len(row.figures)}"
        for row in benchmark.rows
        if row.trained and len(row.figures) < MIN_SEEDS
    ]
    if few:
        notes.append(
            f"Training seeds: {', '.join(few)}; fewer than {MIN_SEEDS} do not tell how training varies."
        )
    if benchmark.noun == "resamples":
        notes.append(
            "All runs share one test part: intervals cover initialisation and resampling, not the choice of test data."
        )
    if any(len(row.figures) > 1 for row in benchmark.rows):
        notes.append(
            f"Intervals of trained policies cover {benchmark.noun} and training seeds; the others cover {benchmark.noun}."
        )
    for what in ("diverged", "collapsed"):
        shares = [
            f"{row.label} {getattr(row, what):.1%}" for row in benchmark.rows if getattr(row, what)
        ]
        notes += [f"{what.capitalize()} runs: {', '.join(shares)}."] if shares else []
    return notes


def real_data(task: Task, split: str) -> list[str]:
    """One line with the score metrics of real data in the place of what models make, if the task
    knows them.

    A task does if it has a method `real_data_scores(split)`, which gives how many there are, and
    figures by name.
    """
    method: Callable[[str], tuple[int, dict[str, float]]] | None = getattr(
        task, "real_data_scores", None
    )
    if method is None:
        return []
    count, scores = method(split)
    return [
        f"Real data ({count:,}): {', '.join(f'{name} {value:.2f}' for name, value in scores.items())}"
    ]


def save_report(
    benchmark: Benchmark, warnings: Sequence[str], title: str, folder: Path, command: dict[str, Any]
) -> list[Path]:
    """Write table.txt, table.md, results.json, results.csv and figure.png; return their paths."""
    write_text(folder / "table.txt", f"{title}\n{text_table(benchmark, warnings)}\n")
    write_text(folder / "table.md", markdown_table(benchmark, warnings) + "\n")
    write_text(folder / "results.json", json.dumps(_plain(benchmark, command), indent=1))
    write_text(folder / "results.csv", _long_csv(benchmark))
    draw(benchmark, title, folder / "figure.png")
    return [
        folder / name
        for name in ("table.txt", "table.md", "results.json", "results.csv", "figure.png")
    ]


def _plain(benchmark: Benchmark, command: dict[str, Any]) -> dict[str, Any]:
    rows = []
    for row in benchmark.rows:
        content = {
            name: value for name, value in asdict(row).items() if not isinstance(value, np.ndarray)
        }
        content["others"] = {name: values.tolist() for name, values in row.others.items()}
        rows.append(
            content | {"best_scores": row.figures.tolist(), "scores": row.last_scores.tolist()}
        )
    head = {
        "command": command,
        "metric": asdict(benchmark.metric),
        "reference": benchmark.reference,
    }
    return head | {"instances": benchmark.instances.tolist(), "rows": rows}


def _long_csv(benchmark: Benchmark) -> str:
    """One line for each policy, training seed and problem."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    others = list(benchmark.rows[0].others)
    writer.writerow(
        ["policy", "training_seed", "problem", "instance", "best_score", "score", *others]
    )
    for row in benchmark.rows:
        for seed, (best, last) in enumerate(zip(row.figures, row.last_scores, strict=True)):
            for problem, instance in enumerate(benchmark.instances):
                figures = [row.others[name][seed, problem] for name in others]
                writer.writerow(
                    [row.label, seed, problem, instance, best[problem], last[problem], *figures]
                )
    return buffer.getvalue()
