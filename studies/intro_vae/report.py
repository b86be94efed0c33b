"""Tables of the study."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from agents.evaluation.statistics import bootstrap, paired_difference
from autoloss_gym.core.task import Metric
from studies.intro_vae.settings import FIXED, GRID_SAMPLES, GRID_SIMILAR
from studies.markdown import interval, table

_TITLES = {
    "structural_similarity": "SSIM of reconstructions, higher is better",
    "peak_signal_noise_ratio": "PSNR of reconstructions (dB), higher is better",
    "niqe": "NIQE of reconstructions, lower is better",
    "frechet_distance": "Fréchet distance of samples, lower is better",
}
_FORMS = {"peak_signal_noise_ratio": ".2f", "niqe": ".2f", "frechet_distance": ".2f"}
_COLUMNS = 4  # points of training in a table


@dataclass(frozen=True)
class Curves:
    """Scores of rows on the same runs, in the course of training.

    Args:
        metrics: of the scores.
        steps: after which they were taken, (points,).
        titles: of the rows, by name.
        scores: of the rows, by name, each (points, runs, metrics).
    """

    metrics: tuple[Metric, ...]
    steps: np.ndarray
    titles: Mapping[str, str]
    scores: Mapping[str, np.ndarray]

    def of(self, name: str, metric: str) -> np.ndarray:
        """Scores of a row, (points, runs)."""
        return self.scores[name][..., self.names.index(metric)]

    @property
    def names(self) -> list[str]:
        """Of the metrics."""
        return [metric.name for metric in self.metrics]

    @property
    def shown(self) -> list[int]:
        """Indices of the points in tables: quarters of training."""
        every = len(self.steps) // _COLUMNS
        return list(range(every - 1, len(self.steps), every))


def report(curves: Curves) -> str:
    """Markdown: a table for each figure, with a column for each quarter of training."""
    runs = next(iter(curves.scores.values())).shape[1]
    lines = [
        f"{runs} runs of each row; in brackets 95 % bootstrap intervals over them, of which five "
        "runs give too narrow ones. Differences are those at the end, paired by run. "
        + _ended_early(curves),
    ]
    for metric, title in _TITLES.items():
        if metric in curves.names:
            lines += ["", f"### {title}", "", _table(curves, metric)]
    return "\n".join(lines)


def _ended_early(curves: Curves) -> str:
    """Which rows have runs that did not train to the end: their scores stand still."""
    found = []
    for name, scores in curves.scores.items():
        count = int((scores[1:] == scores[:-1]).all(axis=2).any(axis=0).sum())
        if count:
            found.append(f"{curves.titles[name]} {count}")
    if not found:
        return "No run ended early."
    return f"Runs that ended early, whose last scores are kept: {'; '.join(found)}."


def _table(curves: Curves, metric: str) -> str:
    columns = [f"{curves.steps[point]:,} steps" for point in curves.shown]
    chosen = GRID_SAMPLES if metric == "frechet_distance" else GRID_SIMILAR
    references = {FIXED: "the preset's weights", chosen: "the grid's best"}
    known = {name: title for name, title in references.items() if name in curves.scores}
    form = _FORMS.get(metric, ".3f")
    rows = []
    for name, title in curves.titles.items():
        figures = curves.of(name, metric)
        cells = [interval(bootstrap(figures[point][None]), form) for point in curves.shown]
        differences = [_difference(curves, (name, each), metric, form) for each in known]
        rows.append([title, *cells, *differences])
    header = ["row", *columns, *(f"difference to {title}" for title in known.values())]
    return table(header, rows)


def _difference(curves: Curves, names: tuple[str, str], metric: str, form: str) -> str:
    if names[0] == names[1]:
        return "—"
    ends = [curves.of(each, metric)[-1][None] for each in names]
    return interval(paired_difference(*ends), f"+{form}")
