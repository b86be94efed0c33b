"""Open-loop schedules p(t): probabilities that change with progress alone, and their search by the
cross-entropy method.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autoloss_gym.core.task import Control, Task

from ..evaluation.rollout import Play
from .policy import Policy
from .schedules import Draws, one_hot

POPULATION = 24
GENERATIONS = 8
PROBLEMS = 24  # new ones in every generation
_ELITE = 6
_WIDTH = 1.5  # initial deviation of the logits
_LEAST_WIDTH = 0.15


@dataclass
class OpenLoop:
    """Draws the pair of every step with probabilities that are interpolated linearly between
    equally spaced knots.

    Args:
        knots: probabilities at the start, …, at the end of training, (knots, pairs).
        max_steps: length of a training run.
    """

    label: str
    knots: tuple[tuple[float, ...], ...]
    max_steps: int
    static: bool = True
    diagnostics: bool = False
    env_arguments: dict[str, Any] = field(default_factory=dict)

    def reset(self, seeds: np.ndarray) -> None:
        self._draws = Draws(seeds, "open loop")

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> Control:
        knots = np.asarray(self.knots)
        place = infos["steps"] / self.max_steps * (len(knots) - 1)
        probabilities = np.stack(
            [np.interp(place, np.arange(len(knots)), column) for column in knots.T], axis=1
        )
        return one_hot(self._draws.categorical(probabilities), knots.shape[1])


def search(task: Task, knots: int, play: Play, seeds: np.ndarray, minimize: bool) -> list[Policy]:
    """The mean schedule after each generation of the cross-entropy method (Rubinstein 1999) on the
    knots' logits.

    Args:
        task: what is trained.
        knots: of a schedule.
        play: (policies, seeds) → their episodes on training problems.
        seeds: (GENERATIONS × PROBLEMS,), numbers of these problems.
        minimize: whether a low score is good.
    """
    generator = np.random.default_rng(0)
    mean, width = (
        np.zeros((knots, len(task.pairs) - 1)),
        np.full((knots, len(task.pairs) - 1), _WIDTH),
    )
    found: list[Policy] = []
    for part in np.split(seeds, GENERATIONS):
        logits = mean + width * generator.standard_normal((POPULATION, *mean.shape))
        played = play([_schedule(each, task) for each in logits], part)
        scores = np.array([episodes.best_scores.mean() for episodes in played]) * (
            1 if minimize else -1
        )
        elite = logits[np.argsort(scores, kind="stable")[:_ELITE]]
        mean, width = elite.mean(axis=0), np.maximum(elite.std(axis=0), _LEAST_WIDTH)
        found.append(_schedule(mean, task))
    return found


def _schedule(logits: np.ndarray, task: Task) -> OpenLoop:
    """The schedule of logits (knots, pairs − 1), relative to the first pair."""
    levels = np.exp(np.concatenate([np.zeros((len(logits), 1)), logits], axis=1))
    knots = levels / levels.sum(axis=1, keepdims=True)
    label = "p = " + " → ".join("/".join(f"{p:.2f}" for p in knot[:-1]) for knot in knots)
    return OpenLoop(label, tuple(tuple(map(float, knot)) for knot in knots), task.max_steps)
