"""The table of a bench, and what it says in sentences."""

from collections.abc import Mapping, Sequence

import numpy as np

from studies.markdown import interval, sample_size, table
from studies.ratios import geometric_mean, ratio
from studies.weightings.playing import Entrant
from studies.weightings.settings import BLIND, CONTROLLER, EQUAL, OPEN_LOOP, Bench

_SHOWN = (1, 2, 3, 5, 10, 20, 30, 50)


def report(bench: Bench, entrants: Mapping[str, Entrant], best_of: Mapping[str, np.ndarray]) -> str:
    """The part of a page that is about one bench.

    Args:
        bench: what was played.
        entrants: by name.
        best_of: errors of the best of k candidates of each problem, (k, problems), by what they
            are.
    """
    return "\n\n".join([table_of(entrants), *sentences(entrants, best_of)])


def table_of(entrants: Mapping[str, Entrant]) -> str:
    """A line for each entrant, the least error first."""
    equal = entrants[EQUAL]
    rows = []
    for entrant in sorted(entrants.values(), key=lambda each: _level(each.figures)):
        better = (entrant.figures < _met(equal.figures, entrant.figures)).mean()
        rows.append(
            [
                entrant.title,
                sample_size(entrant.figures),
                interval(geometric_mean(entrant.figures), ".4g"),
                "" if entrant is equal else interval(ratio(entrant.figures, equal.figures)),
                "" if entrant is equal else f"{better:.0%}",
                f"{entrant.diverged:.0%}",
                f"{entrant.runs_before:,}",
                str(entrant.runs_each),
            ]
        )
    header = ["", "n", "error", "/ equal", "better", "diverged", "runs before", "a problem"]
    return table(header, rows)


def sentences(entrants: Mapping[str, Entrant], best_of: Mapping[str, np.ndarray]) -> Sequence[str]:
    """What a controller is worth, where there is one."""
    if CONTROLLER not in entrants:
        return []
    controller = entrants[CONTROLLER].figures
    lines = []
    for name in (OPEN_LOOP, BLIND):
        found = interval(ratio(controller, entrants[name].figures))
        lines.append(f"- controller / {entrants[name].title}: {found}")
    for title, best in best_of.items():
        lines.append(
            f"- The controller is worth {worth(best, controller)} {title} of each problem "
            f"({_curve(best, controller)})."
        )
    return ["\n".join(lines)]


def worth(best: np.ndarray, controller: np.ndarray) -> int:
    """The greatest k up to which the controller's mean is no worse than that of the best of k.

    Args:
        best: (k, problems), errors of the best of the first 1 … k.
        controller: (trainings, problems), of which the first are met.
    """
    level = _level(_met(controller, best))
    failed = np.flatnonzero(np.log(best).mean(axis=1) < level)
    return int(failed[0]) if len(failed) else len(best)


def _curve(best: np.ndarray, controller: np.ndarray) -> str:
    met = _met(controller, best)
    shown = [count for count in _SHOWN if count <= len(best)]
    parts = [f"{count}: {interval(ratio(met, best[count - 1 : count]))}" for count in shown]
    return "controller / best of k, k = " + "; ".join(parts)


def _met(figures: np.ndarray, like: np.ndarray) -> np.ndarray:
    """On the problems of the other, which are the first."""
    return figures[:, : like.shape[1]]


def _level(figures: np.ndarray) -> float:
    return float(np.log(figures).mean())
