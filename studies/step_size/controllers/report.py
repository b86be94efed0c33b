"""The table of a family, and what it says in sentences."""

from collections.abc import Sequence

import numpy as np

from agents.evaluation.statistics import Estimate, bootstrap
from studies.markdown import interval, sample_size, table
from studies.step_size.controllers.playing import Entrant


def difference(figures: np.ndarray, reference: np.ndarray) -> Estimate:
    """Mean paired difference with a 95 % interval over trainings and problems.

    Args:
        figures: (trainings, problems).
        reference: as many trainings, each the partner of one; of another number, their mean is met.
    """
    alike = len(reference) == len(figures)
    return bootstrap(figures - (reference if alike else reference.mean(axis=0, keepdims=True)))


def table_of(entrants: Sequence[Entrant], learners: Sequence[Entrant]) -> str:
    """A line for each entrant, the best first; how far each learner is from it.

    Args:
        entrants: all that is compared, the learners among them; small scores are good.
        learners: each has a column of differences.
    """
    names = [_short(each) for each in learners]
    header = ["", "n", "score", *[f"{name} − it" for name in names], "training runs", "found"]
    rows = []
    for entrant in sorted(entrants, key=lambda each: each.scores.mean()):
        gains = [
            "" if each is entrant else interval(difference(each.scores, entrant.scores), "+.3f")
            for each in learners
        ]
        rows.append(
            [
                entrant.title,
                sample_size(entrant.scores),
                interval(bootstrap(entrant.scores)),
                *gains,
                f"{entrant.training_runs:,}",
                entrant.note,
            ]
        )
    return table(header, rows)


def verdicts(entrants: Sequence[Entrant], learner: Entrant) -> list[str]:
    """One sentence for each opponent of a learner."""
    sentences = []
    for other in entrants:
        if other is learner:
            continue
        gain = difference(learner.scores, other.scores)
        shown = interval(gain, "+.3f")
        name = _short(learner)
        if gain.high < 0:
            says = f"{name} beats {other.title}: {shown}."
        elif gain.low > 0:
            says = f"{name} loses to {other.title}: {shown}."
        else:
            says = f"{name} and {other.title} show no clear difference: {shown}."
        sentences.append(f"- {says}")
    return sentences


def _short(entrant: Entrant) -> str:
    return entrant.title.partition(",")[0].removesuffix(" controller")
