"""A benchmark on paper: text table, Markdown, JSON, CSV and a picture."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from autoloss_gym.tools.files import write_text

from ..rows import Benchmark, Row
from ..statistics import Estimate
from .figure import draw
from .tables import as_markdown, as_text
from .verdict import MIN_SEEDS, verdict


def text_table(benchmark: Benchmark, remarks: Sequence[str] = ()) -> str:
    """The table as aligned text; under it the notes, the remarks, and the verdict as the last."""
    return as_text(_lines(benchmark), _under(benchmark, remarks))


def markdown_table(benchmark: Benchmark, remarks: Sequence[str] = ()) -> str:
    """The same as Markdown."""
    return as_markdown(_lines(benchmark), _under(benchmark, remarks))


def _lines(benchmark: Benchmark) -> list[list[str]]:
    """The cells of the header and of every row."""
    form = f".{benchmark.decimals}f"
    header = [benchmark.words.entrant, "n", "mean [95 % interval]", "IQM"]
    if benchmark.reference:
        header += [f"difference to {benchmark.reference} [95 %]", "P(better) [95 %]"]
    shown = benchmark.pairs[:-1] or benchmark.pairs  # the last share follows from the others
    header += [f"share of {'/'.join(shown)}"] if shown else list(benchmark.rows[0].others)

    lines = [header]
    for row in benchmark.rows:
        comparison = _comparison(row, form) if benchmark.reference else []
        last = [_shares(row, len(shown))] if shown else _others(row)
        lines.append([*_scores(row, form), *comparison, *last])
    return lines


def _scores(row: Row, form: str) -> list[str]:
    seeds, problems = row.figures.shape
    count = str(problems) if seeds == 1 else f"{seeds}×{problems}"
    if row.failed:
        count += f" ({row.failed} failed)"
    return [row.label, count, _interval(row.mean, form), f"{row.interquartile_mean.value:{form}}"]


def _comparison(row: Row, form: str) -> list[str]:
    if row.difference is None or row.improvement is None:
        return ["reference", "—"]
    return [_interval(row.difference, f"+{form}"), _interval(row.improvement, ".2f")]


def _others(row: Row) -> list[str]:
    """Means of the other figures, over the runs that have them."""
    means = []
    for values in row.others.values():
        found = values[np.isfinite(values)]
        means.append(f"{found.mean():.4g}" if found.size else "—")
    return means


def _shares(row: Row, count: int) -> str:
    means = np.nanmean(row.shares, axis=0)[:count]
    return "/".join(f"{value:.2f}" for value in means)


def _interval(estimate: Estimate, form: str) -> str:
    if estimate.low == estimate.high:  # a single figure has no interval
        return f"{estimate.value:{form}}"
    return f"{estimate.value:{form}} [{estimate.low:{form}}, {estimate.high:{form}}]"


def _under(benchmark: Benchmark, remarks: Sequence[str]) -> list[str]:
    """The lines under the table."""
    sentence = verdict(benchmark)
    closing = [f"Verdict: {sentence}"] if sentence else []
    return [
        *_notes_on_scores(benchmark),
        *_notes_on_intervals(benchmark),
        *_notes_on_failures(benchmark),
        *_notes_on_costs(benchmark),
        *remarks,
        *closing,
    ]


def _notes_on_scores(benchmark: Benchmark) -> list[str]:
    noun, reference, words = benchmark.noun, benchmark.reference, benchmark.words
    direction = "lower" if benchmark.metric.minimize else "higher"
    notes = [
        f"{benchmark.metric.name} {words.scored}; {direction} is better. "
        f"n: {words.counted.format(noun=noun)}."
    ]
    chosen = [f"{row.label} → {row.chosen}" for row in benchmark.rows if row.chosen]
    if chosen:
        notes.append(f"Chosen on validation {noun}: {', '.join(chosen)}.")
    if reference:
        notes += [
            f"{reference}: {words.reference.format(noun=noun)}; differences are paired.",
            f"P(better): probability of a better score than {reference} in a paired run; "
            "a tie counts one half.",
        ]
    return notes


def _notes_on_intervals(benchmark: Benchmark) -> list[str]:
    """What the intervals cover, and what they do not."""
    notes = []
    trained = [row for row in benchmark.rows if row.trained]
    few = [f"{row.label} {len(row.figures)}" for row in trained if len(row.figures) < MIN_SEEDS]
    if few:
        notes.append(
            f"Training seeds: {', '.join(few)}; "
            f"fewer than {MIN_SEEDS} do not tell how training varies."
        )
    if benchmark.noun == "resamples":
        notes.append(
            "All runs share one test part: "
            "intervals cover initialisation and resampling, not the choice of test data."
        )
    if any(len(row.figures) > 1 for row in benchmark.rows):
        notes.append(
            f"Intervals of trained policies cover {benchmark.noun} and training seeds; "
            f"the others cover {benchmark.noun}."
        )
    return notes


def _notes_on_failures(benchmark: Benchmark) -> list[str]:
    notes = []
    for what in ("diverged", "collapsed"):
        shares = [(row.label, getattr(row, what)) for row in benchmark.rows]
        failures = [f"{label} {share:.1%}" for label, share in shares if share]
        if failures:
            notes.append(f"{what.capitalize()} runs: {', '.join(failures)}.")
    return notes


def _notes_on_costs(benchmark: Benchmark) -> list[str]:
    """What trainings, searches and choices have cost, beside the runs of the table itself."""
    before = [f"{row.label} {row.training_runs:,}" for row in benchmark.rows if row.training_runs]
    each = [
        f"{row.label} {row.training_runs_each}"
        for row in benchmark.rows
        if row.training_runs_each > 1
    ]
    notes = []
    if before:
        notes.append(f"Training runs before the table: {', '.join(before)}.")
    if each:
        notes.append(f"Training runs for each of the table's {benchmark.noun}: {', '.join(each)}.")
    return notes


def save_report(
    benchmark: Benchmark, remarks: Sequence[str], title: str, folder: Path, command: dict[str, Any]
) -> list[Path]:
    """Write table.txt, table.md, results.json, results.csv and figure.png; return their paths."""
    texts = {
        "table.txt": f"{title}\n{text_table(benchmark, remarks)}\n",
        "table.md": markdown_table(benchmark, remarks) + "\n",
        "results.json": json.dumps(_plain(benchmark, command), indent=1),
        "results.csv": _long_csv(benchmark),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    draw(benchmark, title, folder / "figure.png")
    return [folder / name for name in (*texts, "figure.png")]


def _plain(benchmark: Benchmark, command: dict[str, Any]) -> dict[str, Any]:
    """All that JSON can hold of a benchmark; the shares of every step are left out."""
    rows = []
    for row in benchmark.rows:
        content = asdict(row)
        for name in ("figures", "last_scores", "shares", "failed"):
            del content[name]
        content["others"] = {name: values.tolist() for name, values in row.others.items()}
        content["best_scores"] = row.figures.tolist()
        content["scores"] = row.last_scores.tolist()
        rows.append(content)
    return {
        "command": command,
        "metric": asdict(benchmark.metric),
        "reference": benchmark.reference,
        "verdict": verdict(benchmark),
        "instances": benchmark.instances.tolist(),
        "rows": rows,
    }


def _long_csv(benchmark: Benchmark) -> str:
    """One line for each policy, training seed and problem."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    others = list(benchmark.rows[0].others)
    writer.writerow(
        ["policy", "training_seed", "problem", "instance", "best_score", "score", *others]
    )
    for row in benchmark.rows:
        for seed, problem in np.ndindex(row.figures.shape):
            at = seed, problem
            scores = [
                row.figures[at],
                row.last_scores[at],
                *(row.others[name][at] for name in others),
            ]
            writer.writerow([row.label, seed, problem, benchmark.instances[problem], *scores])
    return buffer.getvalue()
