"""Successive halving: all candidates meet a few problems, the best quarter goes on to more.

Jamieson, Talwalkar: "Non-stochastic best arm identification and hyperparameter optimization",
AISTATS 2016.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from autoloss_gym.controllers.policy import Policy

from .rollout import Play

FEWEST = 16  # problems on which candidates may be dropped
_SHARES = (8, 2, 1)  # stages end at an eighth, a half and all of the problems


class Choice(NamedTuple):
    """The winner of a field, its mean `best_score`, and the training runs of all its field."""

    policy: Policy
    mean: float
    training_runs: int


def choose(
    fields: Sequence[Sequence[Policy]], play: Play, seeds: np.ndarray, minimize: bool
) -> list[Choice]:
    """The best candidate of each field by its mean `best_score`.

    Args:
        fields: candidates for each of several choices; all of them share batches.
        play: (policies, seeds) → their episodes.
        seeds: (problems,); with fewer than 32 problems every candidate meets all of them.
        minimize: whether a low score is good.
    """
    remaining = [list(field) for field in fields]
    scores = [[np.empty(0) for _ in field] for field in fields]
    costs = [0 for _ in fields]
    start = 0
    for end in _stages(len(seeds)):
        played = iter(play([policy for field in remaining for policy in field], seeds[start:end]))
        for index, field in enumerate(remaining):
            costs[index] += len(field) * (end - start)
            met = [np.append(before, next(played).best_scores) for before in scores[index]]
            # An earlier stage keeps a quarter, rounded up; the last one the winner alone.
            count = -(-len(field) // 4) if end < len(seeds) else 1
            kept = _best(met, minimize)[:count]
            remaining[index] = [field[i] for i in kept]
            scores[index] = [met[i] for i in kept]
        start = end

    winners = [field[0] for field in remaining]
    means = [float(values[0].mean()) for values in scores]
    return [Choice(*each) for each in zip(winners, means, costs, strict=True)]


def _best(scores: list[np.ndarray], minimize: bool) -> np.ndarray:
    """Indices from the best mean to the worst; of equal ones the earlier stands first."""
    sign = 1 if minimize else -1
    means = np.array([sign * each.mean() for each in scores])
    return np.argsort(means, kind="stable")


def _stages(problems: int) -> list[int]:
    """The numbers of problems that have been met at the end of each stage."""
    ends = [problems // share for share in _SHARES]
    return [end for end in ends if end >= FEWEST or end == problems]
