"""The table of a measurement and what it recommends, in one sentence."""

from dataclasses import dataclass

import numpy as np

from ..statistics import Estimate, bootstrap
from .measure import Headroom, Reaction

BLIND = "the best blind schedule"
# A gain is no gain under this share of the best blind score, and of what that gains over the
# default training: where problems hardly differ, anything is sure.
LEAST = 0.01


@dataclass(frozen=True)
class _Way:
    """A way to train, see `Gain`, with its scores and those of the reference, (problems,) each."""

    question: str
    label: str
    reference: str
    scores: np.ndarray
    against: np.ndarray
    runs_once: int
    runs_each: float | None = 1


@dataclass
class Gain:
    """A row: what one way to train gains over another on the same problems.

    Args:
        question: "constant", "timing", "search", "bound" or "rule".
        label: the way.
        reference: the other.
        runs_once: training runs before the first problem.
        runs_each: training runs for every problem; None for what nobody can do.
        gain: mean gain with its 95 % interval; positive is better.
        share: the gain in units of the other's mean score; None where scores are not all positive.
        is_sure: whether 0 lies below the interval even though several rows ask the same question
            (Bonferroni), and the gain is worth the name.
        count: problems.
        score: mean score of the way.
    """

    question: str
    label: str
    reference: str
    runs_once: int
    runs_each: float | None
    gain: Estimate
    share: float | None
    is_sure: bool
    count: int
    score: float


@dataclass
class Advice:
    """The rows and the recommendation.

    Args:
        choice: "constant", "open loop", "search" or "controller".
        sentence: says it with its reason and its cost.
        gains: the rows of the table.
    """

    choice: str
    sentence: str
    gains: list[Gain]

    def of(self, question: str) -> list[Gain]:
        """The rows that answer a question."""
        return [gain for gain in self.gains if gain.question == question]


def advise(headroom: Headroom) -> Advice:
    """The table of a measurement, and what follows from it."""
    gains = _gains(headroom)
    choice, reason = _choose(headroom, gains)
    return Advice(choice, f"{choice}: {reason}", gains)


def rule_of(headroom: Headroom) -> Reaction:
    """The moment at which the fitted rule gains most."""
    gain = [headroom.sign * (each.blind - each.fitted).mean() for each in headroom.reactions]
    return headroom.reactions[int(np.argmax(gain))]


def _gains(headroom: Headroom) -> list[Gain]:
    """The rows of the table."""
    ways = [*_blind_ways(headroom), *_search_ways(headroom), *_reacting_ways(headroom)]
    asked = [way.question for way in ways]
    return [_gain(headroom, way, asked.count(way.question)) for way in ways]


def _blind_ways(headroom: Headroom) -> list[_Way]:
    """What needs one run for each problem and looks at nothing."""
    found, default = headroom.constant, headroom.default
    constant = headroom.choices.constant_runs
    blind = headroom.best_blind
    clones = round(sum(each.runs for each in headroom.reactions) * len(blind))
    shifted = _chosen(headroom) + clones
    one_shift, open_loop = "one shift for all problems", headroom.schedule
    return [
        _Way("constant", "the best constant", "the default training", found, default, constant),
        _Way(
            "timing", "the open loop", "the constant", headroom.schedule, found, _chosen(headroom)
        ),
        _Way("timing", one_shift, "the open loop", blind, open_loop, shifted),
    ]


def _search_ways(headroom: Headroom) -> list[_Way]:
    """What trains every problem several times."""
    blind = headroom.best_blind
    ways = []
    for count, scores in headroom.best_of.items():
        label = f"trying {count} constant{'s' if count > 1 else ''}"
        once = headroom.choices.constant_runs
        ways.append(_Way("search", label, BLIND, scores, blind, once, count))
    for each in headroom.reactions:
        label = f"trying every shift at {each.moment:.0%}"
        once = _chosen(headroom)
        ways.append(_Way("search", label, BLIND, each.tried, blind, once, each.runs))
    return ways


def _reacting_ways(headroom: Headroom) -> list[_Way]:
    """What looks at the run: the bounds first, then the rules."""
    blind, chosen = headroom.best_blind, _chosen(headroom)
    bounds, rules = [], []
    for each in headroom.reactions:
        # Over the blind shift of the same moment: what all problems gain alike is no reaction.
        label, at = f"a clairvoyant shift at {each.moment:.0%}", f"one for all at {each.moment:.0%}"
        bounds.append(_Way("bound", label, at, each.clairvoyant, each.blind, chosen, None))
        label = f"a fitted rule at {each.moment:.0%}"
        once = chosen + round(each.runs * len(blind))
        rules.append(_Way("rule", label, BLIND, each.fitted, blind, once))
    return [*bounds, *rules]


def _chosen(headroom: Headroom) -> int:
    """Training runs that the open loop cost."""
    return headroom.choices.constant_runs + headroom.choices.schedule_runs


def _gain(headroom: Headroom, way: _Way, num_rows: int) -> Gain:
    """The row of a way, where so many rows ask the same question."""
    scores, against = way.scores.astype(np.float64), way.against.astype(np.float64)
    gains = headroom.sign * (against - scores)[None]
    is_above_noise = bootstrap(gains, coverage=1 - 0.05 / num_rows).low > 0
    are_positive = against.min() > 0 and scores.min() >= 0
    return Gain(
        question=way.question,
        label=way.label,
        reference=way.reference,
        runs_once=way.runs_once,
        runs_each=way.runs_each,
        gain=bootstrap(gains),
        share=float(gains.mean() / against.mean()) if are_positive else None,
        is_sure=bool(is_above_noise and gains.mean() > LEAST * _scale(headroom)),
        count=gains.size,
        score=float(scores.mean()),
    )


def _scale(headroom: Headroom) -> float:
    """The size that gains are measured by."""
    blind = float(headroom.best_blind.mean())
    return min(abs(blind), abs(float(headroom.default.mean()) - blind))


def _choose(headroom: Headroom, gains: list[Gain]) -> tuple[str, str]:
    """The cheapest way to train that is surely better than the ones before it, and why."""
    sure: dict[str, list[Gain]] = {gain.question: [] for gain in gains}
    for gain in gains:
        if gain.is_sure:
            sure[gain.question].append(gain)
    if sure["rule"]:
        best = max(sure["rule"], key=_value)
        return "controller", f"{_said(best)}; {_matched(headroom.sign, best, gains)}"

    rules = [gain for gain in gains if gain.question == "rule"]
    against = f"reacting by a fitted rule adds nothing sure ({_number(max(rules, key=_value))})"
    if sure["search"]:
        cheapest = min(sure["search"], key=lambda gain: gain.runs_each or 0)
        return "search", f"{_said(cheapest)}; {against}"
    if sure["timing"]:
        return "open loop", f"{_said(sure['timing'][0])}{_unfinished(sure['timing'])}; {against}"
    if sure["constant"]:
        return "constant", f"{_said(sure['constant'][0])}; {against}, nor does timing or search"
    return "constant", f"keep the default training, nothing is surely better; {against}"


def _unfinished(timings: list[Gain]) -> str:
    """Where one shift for all still gains, the schedule was not searched for long enough."""
    if timings[-1].label == "the open loop":
        return ""
    return f" ({timings[-1].label} gains {_number(timings[-1])}: give a larger --budget)"


def _matched(sign: int, best: Gain, gains: list[Gain]) -> str:
    """How much search reaches what a rule does."""
    searches = [gain for gain in gains if gain.question == "search" and "constant" in gain.label]
    for gain in searches:
        if sign * gain.score <= sign * best.score:
            return f"{gain.label} for each problem does as well"
    return f"even {searches[-1].label} for each problem does not reach that"


def _value(gain: Gain) -> float:
    return gain.gain.value


def _said(gain: Gain) -> str:
    share = f", {gain.share:.1%}," if gain.share is not None else ""
    each = gain.runs_each or 1
    return (
        f"{gain.label} gains {_number(gain)}{share} over {gain.reference}, for "
        f"{gain.runs_once:,} training runs once and {each:.3g} for each problem"
    )


def _number(gain: Gain) -> str:
    estimate = gain.gain
    return f"{estimate.value:+.3g} [{estimate.low:+.3g}, {estimate.high:+.3g}]"
