"""The search of open-loop schedules by the cross-entropy method."""

import numpy as np

from autoloss_gym.core.task import Task

from ..policies.open_loop import OpenLoop
from ..policies.policy import Policy
from .rollout import Play

POPULATION = 24
GENERATIONS = 8
PROBLEMS = 24  # new ones in every generation
_ELITE = 6
_WIDTH = 1.5  # initial deviation of the logits
_LEAST_WIDTH = 0.15  # so that the last generations still search


def search(task: Task, knots: int, play: Play, seeds: np.ndarray, minimize: bool) -> list[Policy]:
    """The mean schedule after each generation, searched on the knots' logits (Rubinstein 1999).

    Args:
        task: the task whose training is scheduled.
        knots: of a schedule.
        play: (policies, seeds) → their episodes on training problems.
        seeds: (GENERATIONS × PROBLEMS,), numbers of these problems.
        minimize: whether a low score is good.
    """
    generator = np.random.default_rng(0)
    sign = 1 if minimize else -1
    mean = np.zeros((knots, len(task.pairs) - 1))
    width = np.full(mean.shape, _WIDTH)

    found: list[Policy] = []
    for part in np.split(seeds, GENERATIONS):
        logits = mean + width * generator.standard_normal((POPULATION, *mean.shape))
        played = play([_schedule(each, task) for each in logits], part)
        scores = sign * np.array([episodes.best_scores.mean() for episodes in played])

        best = np.argsort(scores, kind="stable")[:_ELITE]
        elite = logits[best]
        mean = elite.mean(axis=0)
        width = np.maximum(elite.std(axis=0), _LEAST_WIDTH)
        found.append(_schedule(mean, task))
    return found


def _schedule(logits: np.ndarray, task: Task) -> OpenLoop:
    """The schedule of logits (knots, pairs − 1), relative to the first pair."""
    first = np.zeros((len(logits), 1))
    levels = np.exp(np.concatenate([first, logits], axis=1))
    probabilities = levels / levels.sum(axis=1, keepdims=True)

    knots = tuple(tuple(knot) for knot in probabilities.tolist())
    # The last probability follows from the others.
    shown = ["/".join(f"{p:.2f}" for p in knot[:-1]) for knot in knots]
    return OpenLoop(f"p = {' → '.join(shown)}", knots, task.max_steps)
