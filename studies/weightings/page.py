"""The page of the study."""

from studies.pages import Page
from studies.weightings.settings import BENCHES

RANKS = "ranks"
_INTRODUCTION = """\
# Loss weightings: which rule should I use?

Every rule of the package and every aggregation of gradients, on the same unseen problems, with
their default arguments and the default optimizer of the task. All of them meet the same runs of the
test split, which no choice has seen; the fixed weights of the grid are chosen on validation
problems, or for each problem by its own validation at the price of one training for each candidate.

Errors are geometric means with 95 % intervals over problems (and over trainings, where there are
several), "/ equal" are paired ratios to equal weights, below 1 is better, and "better" is the share
of problems on which it is. "Runs before" are training runs before the first problem, "a problem"
those on each problem.
"""
_HEADINGS = {name: f"## {bench.title}" for name, bench in BENCHES.items()}
PAGE = Page(
    "python -m studies.weightings",
    _INTRODUCTION,
    {**_HEADINGS, RANKS: "## Does a rule win across tasks?"},
    option="",
)
