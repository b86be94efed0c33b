"""A measurement of headroom on paper: text table, Markdown, JSON and a picture."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autoloss_gym.tools.files import write_text

from ...schedule_vectors import normalised, plain, schedule_of
from ..headroom.advice import BLIND, Advice, Gain, rule_of
from ..headroom.measure import Headroom
from .headroom_figure import draw
from .tables import as_markdown, as_text

_QUESTIONS = {
    "constant": "a constant",
    "timing": "timing",
    "search": "search for each problem",
    "bound": "reacting, upper bound",
    "rule": "reacting, a fitted rule",
}


def text_table(headroom: Headroom, advice: Advice) -> str:
    """The table as aligned text, the notes, and the recommendation as the last line."""
    return as_text(_lines(advice), _under(headroom, advice))


def markdown_table(headroom: Headroom, advice: Advice) -> str:
    """The same as Markdown."""
    return as_markdown(_lines(advice), _under(headroom, advice))


def _lines(advice: Advice) -> list[list[str]]:
    """The cells of the header and of every row."""
    header = [
        "could be gained by",
        "with",
        "over",
        "n",
        "gain [95 %]",
        "share",
        "runs: once",
        "each",
    ]
    lines = [header]
    asked = ""
    for gain in advice.gains:
        question = "" if gain.question == asked else _QUESTIONS[gain.question]
        asked = gain.question
        lines.append([question, gain.label, gain.reference, *_figures(gain)])
    return lines


def _figures(gain: Gain) -> list[str]:
    estimate = gain.gain
    interval = f"{estimate.value:+.3g} [{estimate.low:+.3g}, {estimate.high:+.3g}]"
    # Where nearly nothing is left to lose, a share says nothing.
    share = "" if gain.share is None or gain.share < -1 else f"{gain.share:+.1%}"
    each = "—" if gain.runs_each is None else f"{gain.runs_each:.3g}"
    return [str(gain.count), interval, share, f"{gain.runs_once:,}", each]


def _under(headroom: Headroom, advice: Advice) -> list[str]:
    """The lines under the table."""
    metric, noun = headroom.metric, headroom.noun
    better = "lower" if metric.minimize else "higher"
    weights = "probabilities of the pairs" if headroom.draw else "weights"
    return [
        f"{metric.name} at the best validation so far; {better} is better, gains are positive. "
        f"Default training {headroom.default.mean():.4g}, constant {headroom.constant.mean():.4g}, "
        f"open loop {headroom.schedule.mean():.4g}.",
        f"Shifts change the {weights} of {', '.join(headroom.pairs)}, and the step size, from the "
        "moment of the clone to the end; the clones are of runs under the open loop.",
        f"Choices on training {noun}, figures on validation {noun}, paired; test {noun} are not "
        "touched. The fitted rule and the blind shift are cross-fitted.",
        f"{BLIND.capitalize()}: the open loop, or that with one shift for all problems. "
        "Upper bound: the shift is chosen by the true score, so that noise adds to it.",
        f"Recommendation: {advice.sentence}.",
    ]


def save_report(
    headroom: Headroom, advice: Advice, title: str, folder: Path, command: dict[str, Any]
) -> list[Path]:
    """Write table.txt, table.md, results.json and figure.png; return their paths."""
    texts = {
        "table.txt": f"{title}\n{text_table(headroom, advice)}\n",
        "table.md": markdown_table(headroom, advice) + "\n",
        "results.json": json.dumps(_plain(headroom, advice, command), indent=1),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    draw(headroom, advice, title, folder / "figure.png")
    return [folder / name for name in (*texts, "figure.png")]


def _plain(headroom: Headroom, advice: Advice, command: dict[str, Any]) -> dict[str, Any]:
    """All that JSON can hold of a measurement."""
    choices = headroom.choices
    scores = {name: getattr(headroom, name).tolist() for name in ("default", "constant")}
    scores["open loop"] = headroom.schedule.tolist()
    for count, reached in headroom.best_of.items():
        scores[f"best of {count} constants"] = reached.tolist()
    reactions = []
    for each in headroom.reactions:
        by_way = {name: getattr(each, name).tolist() for name in _OF_MOMENT}
        reactions.append({"moment": each.moment, "runs": each.runs, **by_way})
    return {
        "command": command,
        "metric": asdict(headroom.metric),
        "choice": advice.choice,
        "recommendation": advice.sentence,
        "rows": [asdict(gain) for gain in advice.gains],
        "draw": headroom.draw,
        "constant": plain(normalised(schedule_of(choices.constants[0]))),
        "schedule": plain(normalised(schedule_of(choices.schedule))),
        "rule_at": rule_of(headroom).moment,
        "instances": headroom.instances.tolist(),
        "scores": scores,
        "reactions": reactions,
    }


_OF_MOMENT = ("clairvoyant", "tried", "fitted", "blind")
