"""Choosing among many candidates: all meet a few problems, the best quarter goes on to more
(Jamieson, Talwalkar 2016).
"""

from collections.abc import Sequence

import numpy as np

from ..policies.policy import Policy
from .rollout import Play

FEWEST = 16  # problems on which candidates may be dropped
_SHARES = (8, 2, 1)  # stages end at an eighth, a half and all of the problems


def choose(
    fields: Sequence[Sequence[Policy]], play: Play, seeds: np.ndarray, minimize: bool
) -> list[tuple[Policy, float]]:
    """The best candidate of each field by its mean `best_score`, and that mean; the fields share
    batches.

    Args:
        fields: candidates for each of several choices.
        play: (policies, seeds) → their episodes.
        seeds: (problems,); with fewer than 32 problems every candidate meets all of them.
        minimize: whether a low score is good.
    """
    remaining = [list(field) for field in fields]
    scores: list[list[np.ndarray]] = [[np.empty(0)] * len(field) for field in fields]
    start = 0
    for end in _stages(len(seeds)):
        played = iter(play([policy for field in remaining for policy in field], seeds[start:end]))
        scores = [[np.append(each, next(played).best_scores) for each in field] for field in scores]
        for index, field in enumerate(scores):
            means = np.array([each.mean() for each in field]) * (1 if minimize else -1)
            kept = np.argsort(means, kind="stable")[
                : -(-len(field) // 4) if end < len(seeds) else 1
            ]
            remaining[index] = [remaining[index][i] for i in kept]
            scores[index] = [field[i] for i in kept]
        start = end
    return [
        (field[0], float(values[0].mean())) for field, values in zip(remaining, scores, strict=True)
    ]


def _stages(problems: int) -> list[int]:
    """How many problems have been met at the end of each stage."""
    return [problems // share for share in _SHARES if share == 1 or problems // share >= FEWEST]
