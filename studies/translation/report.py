"""The tables of the study, and what they say in sentences.

Perplexities are compared by their ratios: means and differences are of logarithms, and what is
printed is exp of them and of the ends of their intervals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from agents.evaluation.statistics import Estimate
from studies.markdown import interval, sample_size, table
from studies.ratios import geometric_mean, ratio
from studies.translation.playing import Entrant
from studies.translation.settings import (
    BLIND,
    FINE_TUNED,
    FIXED_RATIO,
    GROUP,
    MT,
    ONLINE,
    ONLINE_PAPER,
    OPEN_LOOP,
    PAPER_BUFFER,
    PPO,
)

_SHORT = {
    MT: "MT",
    FIXED_RATIO: "FixedRatio",
    FINE_TUNED: "FineTuned",
    ONLINE: "online PPO",
    PPO: "PPO",
    GROUP: "the group controller",
    BLIND: "its blind copy",
    OPEN_LOOP: "the open loop",
}


@dataclass(frozen=True)
class Played:
    """What was played with a budget.

    Args:
        budget: updates of a run.
        entrants: by their names.
        reference: the name of the static one that validation problems favour.
        noun: what the runs differ in: "problems" or "resamples".
    """

    budget: int
    entrants: Mapping[str, Entrant]
    reference: str
    noun: str

    @property
    def best_static(self) -> Entrant:
        return self.entrants[self.reference]

    def ratio(self, name: str, other: str) -> Estimate:
        """How many times the perplexity of another one has."""
        return ratio(self.entrants[name].perplexities, self.entrants[other].perplexities)


def report(played: Played) -> str:
    """The part of a page that is about one budget."""
    return "\n\n".join([f"### {played.budget:,} updates", table_of(played), *sentences(played)])


def table_of(played: Played) -> str:
    """A line for each entrant, the least perplexity first."""
    against = (MT, FIXED_RATIO, played.reference)
    header = [
        "policy",
        "n",
        "test perplexity",
        "/ MT",
        "/ FixedRatio",
        "/ best static",
        "exact",
        "training runs before",
        "chosen",
    ]
    rows = []
    for entrant in sorted(played.entrants.values(), key=_level):
        ratios = [
            "" if name == entrant.name else interval(played.ratio(entrant.name, name), ".3f")
            for name in against
        ]
        rows.append(
            [
                entrant.title,
                sample_size(entrant.perplexities),
                interval(geometric_mean(entrant.perplexities)),
                *ratios,
                f"{entrant.exact.mean():.1%}",
                f"{entrant.training_runs:,}",
                entrant.note,
            ]
        )
    return table(header, rows)


def sentences(played: Played) -> list[str]:
    """What the table says of the paper's claim, of the headroom, and of each learner."""
    best = f"Best static policy on validation {played.noun}: {played.best_static.title}."
    found = [best, order_of_the_paper(played), headroom(played), *_learners(played)]
    if played.budget <= PAPER_BUFFER and ONLINE_PAPER not in played.entrants:
        found.append(
            f"With the paper's buffer of {PAPER_BUFFER:,} decisions the online controller would "
            f"not learn once in {played.budget:,} updates; it is not played."
        )
    return [each for each in found if each]


def order_of_the_paper(played: Played) -> str:
    """Whether controller < FineTuned < FixedRatio < MT, for each of the controllers."""
    chain = (FINE_TUNED, FIXED_RATIO, MT)
    controllers = [name for name in (ONLINE, PPO, GROUP) if name in played.entrants]
    pairs = [*((name, FINE_TUNED) for name in controllers), *pairwise(chain)]
    steps = []
    for name, other in pairs:
        found = played.ratio(name, other)
        steps.append(f"{_SHORT[name]} / {_SHORT[other]} {interval(found)} ({_says(found)})")
    rest = all(_says(played.ratio(*each)) == "holds" for each in pairwise(chain))
    whole = [
        _SHORT[name]
        for name in controllers
        if rest and _says(played.ratio(name, FINE_TUNED)) == "holds"
    ]
    verdict = f"holds with {' and with '.join(whole)}" if whole else "is not found with any"
    return f"The paper's order, controller < FineTuned < FixedRatio < MT, {verdict}: " + (
        "; ".join(steps) + "."
    )


def headroom(played: Played) -> str:
    """What a schedule that reacts to nothing gains over the best static policy."""
    if OPEN_LOOP not in played.entrants:
        return ""
    found = played.ratio(OPEN_LOOP, played.reference)
    gain = f"The open loop has {interval(found)} times the perplexity of the best static policy"
    return f"{gain} ({_clear(found)}): the headroom of a schedule that reacts to nothing."


def _learners(played: Played) -> list[str]:
    """Each against the open loop of the same budget, and the group against its blind copy."""
    pairs = ((PPO, OPEN_LOOP), (GROUP, OPEN_LOOP), (GROUP, BLIND))
    found = []
    for name, other in pairs:
        if name in played.entrants and other in played.entrants:
            each = played.ratio(name, other)
            found.append(f"- {_SHORT[name]} / {_SHORT[other]}: {interval(each)} ({_clear(each)})")
    return ["\n".join(found)] if found else []


def _says(found: Estimate) -> str:
    """Of a step of the paper's order."""
    if found.high < 1:
        return "holds"
    return "reversed" if found.low > 1 else "not clear"


def _clear(found: Estimate) -> str:
    words = {"holds": "better", "reversed": "worse", "not clear": "no clear difference"}
    return words[_says(found)]


def _level(entrant: Entrant) -> float:
    return float(np.log(entrant.perplexities).mean())


def settings_of(played: Sequence[Played], what: str) -> str:
    """The line above the tables: what n counts and how figures are read."""
    return (
        f"{what} Perplexities are geometric means with 95 % intervals over trainings and "
        f"{played[0].noun}; columns with / are paired ratios, below 1 is better."
    )
