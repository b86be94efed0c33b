"""From runs to a table: failed runs, the reference, intervals."""

import math
from collections.abc import Sequence

import numpy as np

from autoloss_gym.core.task import Metric

from ..rows import Benchmark, Row, Words
from ..statistics import (
    bootstrap,
    interquartile_mean,
    paired_difference,
    probability_of_improvement,
)
from .result import LoopComparison, remarks_on
from .rules import Named
from .runs import Run

_MOST_DECIMALS = 12


def tabulated(
    named: Sequence[Named],
    runs: dict[str, list[Run]],
    function: str,
    minimize: bool,
    reference: str | None = None,
    worst: float | None = None,
) -> LoopComparison:
    """The comparison of runs that are paired by seed.

    Args:
        named: the rules.
        runs: of each rule, in the order of the seeds.
        function: name of what was run.
        minimize: whether a low score is good.
        reference: name of the rule to compare with. Default: the best that reads no loss.
        worst: the score of a run that failed. Default: the worst that any run had.

    Raises:
        ValueError: every run failed, or one had a score below the worst.
    """
    scores = {each.label: np.array([run.score for run in runs[each.label]]) for each in named}
    least = _worst(np.concatenate(list(scores.values())), minimize, worst)
    figures = {label: _filled(values, least) for label, values in scores.items()}
    sign = 1 if minimize else -1
    chosen = reference or _best_static(named, figures, minimize)

    rows = []
    for each in named:
        row = _row(each, runs[each.label], figures[each.label])
        # What is compared with a reference that was given may be static too.
        row.reactive = each.label != chosen and (reference is not None or not each.static)
        if chosen is not None and each.label != chosen:
            row.difference = paired_difference(row.figures, figures[chosen])
            # A failed run is worse than any other, also than one that has the worst score.
            own, others = (_filled(scores[label], math.inf * sign) for label in (row.label, chosen))
            row.improvement = probability_of_improvement(own, others, minimize)
        rows.append(row)
    rows.sort(key=lambda row: sign * row.mean.value)
    seeds = np.array([run.seed for run in runs[named[0].label]])
    benchmark = Benchmark(
        rows=rows,
        metric=Metric("score", minimize),
        reference=chosen,
        instances=seeds,
        pairs=[],
        noun="seeds",
        words=_words(named, reference),
        decimals=_decimals(rows),
    )
    remarks = remarks_on(rows, len(seeds), least, worst is not None)
    return LoopComparison(benchmark, runs, function, remarks)


def _worst(scores: np.ndarray, minimize: bool, given: float | None) -> float:
    finite = scores[np.isfinite(scores)]
    if given is None and not finite.size:
        raise ValueError("every run failed: no score is finite; give worst=… for a table of them")
    if not finite.size:
        assert given is not None
        return given
    found = float(finite.max() if minimize else finite.min())
    if given is None:
        return found
    if given < found if minimize else given > found:
        raise ValueError(f"worst={given}: a run has the score {found:g}, which is worse")
    return given


def _filled(scores: np.ndarray, worst: float) -> np.ndarray:
    """Scores (1, seeds) in which a failed run has the worst."""
    return np.where(np.isfinite(scores), scores, worst)[None]


def _best_static(
    named: Sequence[Named], figures: dict[str, np.ndarray], minimize: bool
) -> str | None:
    """Name of the rule with the best mean of those that read no loss."""
    sign = 1 if minimize else -1
    means = {each.label: sign * figures[each.label].mean() for each in named if each.static}
    return min(means, key=means.__getitem__) if means else None


def _row(named: Named, runs: Sequence[Run], own: np.ndarray) -> Row:
    """The row of a rule that is compared with no other yet."""
    names = dict.fromkeys(name for run in runs for name in run.figures)
    others = {name: np.array([[run.figures.get(name, math.nan) for run in runs]]) for name in names}
    return Row(
        label=named.label,
        static=named.static,
        reactive=not named.static,
        trained=False,
        figures=own,
        last_scores=own,
        others=others,
        mean=bootstrap(own),
        interquartile_mean=bootstrap(own, interquartile_mean),
        difference=None,
        improvement=None,
        chosen=None,
        shares=np.empty((0, 0)),
        diverged=0.0,
        collapsed=0.0,
        failed=sum(run.failed for run in runs),
    )


def _words(named: Sequence[Named], reference: str | None) -> Words:
    static = sum(each.static for each in named)
    if reference is not None:
        compared = "the reference that was given"
    elif static == 1:
        compared = "the rule here that reads no loss"
    else:
        compared = f"the best of the {static} rules that read no loss, picked by these scores"
    return Words(
        entrant="rule",
        scored="as train returned it",
        counted="seeds",
        reads="reads losses",
        reference=compared,
        add_reference="add 'equal' to rules, or say reference=…",
        winner="by these scores",
        single="A single seed has no interval: give more seeds for a verdict.",
        again="other seeds",
    )


def _decimals(rows: Sequence[Row]) -> int:
    """As many as show two digits of a usual interval, and at least three."""
    width = float(np.median([row.mean.high - row.mean.low for row in rows]))
    if not 0 < width < math.inf:
        return 3
    return min(_MOST_DECIMALS, max(3, 1 - math.floor(math.log10(width))))
