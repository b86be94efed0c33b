"""The tables of the study in Markdown."""

from dataclasses import dataclass

import numpy as np

from agents.evaluation.statistics import Estimate, bootstrap
from studies.markdown import interval, sample_size, table

KS = (1, 2, 3, 5, 10, 20, 30, 50)


@dataclass(frozen=True)
class Line:
    """One line of a table.

    Args:
        title: what was played.
        scores: (trainings, problems).
        cost: training runs before the first problem, as text.
        per_problem: trainings for each problem.
        seconds: of a processor for one training; 0 where it was not measured.
    """

    title: str
    scores: np.ndarray
    cost: str
    per_problem: int = 1
    seconds: float = 0.0


def comparison(lines: list[Line], open_loop: np.ndarray, sign: int) -> str:
    """A line for each row: its mean, and the paired difference to the open loop.

    Args:
        lines: the rows.
        open_loop: scores of the open loop, (trainings, problems).
        sign: 1 where small scores are good, else −1.
    """
    header = ["", "n", "score", "− open loop", "better", "runs before", "a problem", "CPU s"]
    rows = []
    for line in lines:
        gain = difference(line.scores, open_loop)
        better = (sign * (line.scores - _like(open_loop, line.scores)) < 0).mean()
        rows.append(
            [
                line.title,
                sample_size(line.scores),
                interval(bootstrap(line.scores)),
                "" if line.scores is open_loop else interval(gain, "+.3f"),
                "" if line.scores is open_loop else f"{better:.0%}",
                line.cost,
                str(line.per_problem),
                f"{line.seconds:.0f}" if line.seconds else "",
            ]
        )
    return table(header, rows)


def difference(figures: np.ndarray, reference: np.ndarray) -> Estimate:
    """Mean paired difference with an interval over trainings and problems."""
    return bootstrap(figures - _like(reference, figures))


def curve(title: str, best: np.ndarray, controller: np.ndarray) -> str:
    """How a choice among k trainings for each problem compares with the controller.

    Args:
        title: what is chosen.
        best: (k, problems), scores of the choice among the first 1 … k.
        controller: (trainings, problems).
    """
    rows = []
    for k in KS:
        gain = difference(controller, best[k - 1 : k])
        rows.append([str(k), f"{best[k - 1].mean():.3f}", interval(gain, "+.3f")])
    return table([f"k {title} for each problem", "score", "controller − best of k"], rows)


def worth(best: np.ndarray, controller: np.ndarray, sign: int) -> int:
    """The greatest k up to which the controller is on average no worse than the best of k; or 0."""
    level = controller.mean()
    within = sign * (level - best.mean(axis=1)) <= 0
    failed = np.flatnonzero(~within)
    return int(failed[0]) if len(failed) else len(best)


def _like(reference: np.ndarray, figures: np.ndarray) -> np.ndarray:
    """The reference training by training, or where the numbers differ its mean; on the problems of
    the figures, which are the first of the reference's.
    """
    met = reference[:, : figures.shape[1]]
    return met if len(met) == len(figures) else met.mean(axis=0, keepdims=True)
