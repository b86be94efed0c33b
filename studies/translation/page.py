"""The page of the study."""

from studies.pages import Page

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
PAGE = Page("python -m studies.translation", _INTRODUCTION, _HEADINGS)
