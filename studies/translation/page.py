"""The page of the study: its text, and between two marks what the command writes for a preset."""

from pathlib import Path

from autoloss_gym.tools.files import write_text

_INTRODUCTION = """\
# Multi-task translation: which of three tasks to train when?

One encoder reads German; decoders translate, mark entities and mark parts of speech. Only the
translation counts. AutoLoss (§5.1.3) reports that a controller which chooses the task of every
update beats a mixture that is fine-tuned on translation (FineTuned), which beats the mixture alone
(FixedRatio), which beats translation alone (MT). Is that so on `AutoLoss/MultiTaskTranslation-v0`,
at small size and with equal numbers of updates?

All policies meet the same runs of the test split, which no choice has seen. Shares of FineTuned,
constant probabilities and the best static policy are chosen on the validation split; open loops,
PPO and group controllers are searched or trained on the training split, all with the same number of
training runs. `online_ppo` is the paper's controller (§4.4): it begins anew in every run, and needs
no runs before. The blind copy of the group controller has its base and its budget, and sees zeros:
what it reaches is a better schedule, not a reaction. PPO draws its actions, group controllers take
their means.

The paper's corpora are not free, so its figures do not compare with these; the order of the
policies does.
"""
_HEADINGS = {
    "synthetic": "## A German-like grammar (`preset=synthetic`)",
    "multi30k_small": "## Captions, news and treebank (`preset=multi30k_small`)",
}


def write_part(page: Path, preset: str, part: str) -> None:
    """Put what was found with a preset on a page, in place of what stood there.

    Args:
        page: it is made where there is none.
        preset: whose part it is.
        part: Markdown.

    Raises:
        ValueError: a mark of the part is missing while the other is there.
    """
    text = page.read_text(encoding="utf-8") if page.exists() else _INTRODUCTION
    begin, end = marks(preset)
    if (begin in text) != (end in text):
        raise ValueError(f"{str(page)!r} has one of {begin!r} and {end!r}: expected both; add it")
    if begin not in text:
        text = f"{text}\n{_HEADINGS[preset]}\n\n{begin}\n{end}\n"
    before, _, rest = text.partition(begin)
    after = rest.partition(end)[2]
    write_text(page, f"{before}{begin}\n\n{part}\n\n{end}{after}")


def marks(preset: str) -> tuple[str, str]:
    """The lines before and after the part of a preset."""
    command = f"python -m studies.translation --preset {preset}"
    return f"<!-- from here on written by {command} -->", f"<!-- end of {preset} -->"
