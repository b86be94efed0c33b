"""What all that is compared scores on the same unseen problems."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agents.environments import EnvironmentMaker
from agents.evaluation.rollout import Episodes, here, in_processes, rollout
from agents.evaluation.store import EpisodeStore
from agents.policies.grammar import parse_specification
from agents.policies.policy import Candidates, Setting
from agents.policies.search_space import SearchSpace, spread_points
from agents.policies.trained.trained_policy import TrainedPolicy
from autoloss_gym.controllers.policy import Policy
from autoloss_gym.controls.schedule import Schedule
from autoloss_gym.core.task import Task
from studies.mixtures.settings import Family

CANDIDATES = 50  # constants and shifts from which a problem takes its best
CHOOSING = 256  # validation problems on which the best constant is chosen


@dataclass(frozen=True)
class Table:
    """Plays policies on problems of a family, each batch once.

    Args:
        family: the problems.
        folder: keeps finished batches.
        pool: processes that play; None for this one.
    """

    family: Family
    folder: Path
    pool: Executor | None

    @property
    def task(self) -> Task:
        """What is trained on the unseen problems."""
        return self._maker("test")(num_envs=1).task

    @property
    def plain(self) -> Schedule:
        """Plain training, around which constants are spread."""
        return Schedule.constant(len(self.task.pairs))

    def trained(self, folders: Sequence[Path]) -> np.ndarray:
        """Scores of trained controllers, (trainings, problems)."""
        policies = [TrainedPolicy(folder, self.family.env, True) for folder in folders]
        for policy in policies:
            make_env = EnvironmentMaker(self.family.env, dict(self.family.env_kwargs))
            policy.load(make_env(num_envs=1, **policy.env_arguments))
        return scores(self._played(policies, "test", self.family.episodes))

    def written(self, text: str, split: str = "test", episodes: int = 0) -> list[Episodes]:
        """What evaluate.py would play under this name, each of its candidates on every problem.

        Args:
            text: a policy that no training precedes.
            split: of the problems.
            episodes: the number of problems; 0 for all of the family.
        """
        built = parse_specification(text).build(Setting(self.task, self.family.env))
        policies = built.policies if isinstance(built, Candidates) else [built]
        return self._played(policies, split, episodes or self.family.episodes)

    def schedules(self, schedules: Sequence[Schedule]) -> np.ndarray:
        """Scores of schedules, (schedules, problems)."""
        policies = [self._space(1).policy(each) for each in schedules]
        return scores(self._played(policies, "test", self.family.episodes))

    def candidates(self, around: Schedule, split: str = "test") -> list[Episodes]:
        """A schedule and shifts of it; the first k are spread around it, for every k."""
        space = self._space(len(around.step_size))
        deviations = space.deviations[: space.shape[1]]
        shifts = spread_points(CANDIDATES, len(deviations)) * deviations
        policies = [space.policy(space.shifted(around, shift)) for shift in shifts]
        episodes = self.family.candidate_episodes if split == "test" else CHOOSING
        return self._played(policies, split, episodes)

    def _space(self, knots: int) -> SearchSpace:
        return SearchSpace.of(self.task, knots)

    def _maker(self, split: str) -> EnvironmentMaker:
        return EnvironmentMaker(self.family.env, {**self.family.env_kwargs, "split": split})

    def _played(self, policies: Sequence[Policy], split: str, episodes: int) -> list[Episodes]:
        make_env = self._maker(split)
        store = EpisodeStore(self.folder / "episodes", split, make_env(num_envs=1).task)
        play_batches = in_processes(self.pool) if self.pool else here
        return rollout(
            policies, make_env, np.arange(episodes), store=store, play_batches=play_batches
        )


def scores(played: Sequence[Episodes]) -> np.ndarray:
    """Best scores, (policies, problems), float64."""
    return np.stack([episodes.best_scores for episodes in played]).astype(np.float64)


def best_of_each(played: Sequence[Episodes], minimize: bool) -> np.ndarray:
    """Scores (k, problems) where each problem takes the best of the first 1 … k by validation."""
    sign = 1.0 if minimize else -1.0
    figures = sign * np.stack([each.figures["best_validation"] for each in played])
    diverged = np.stack([each.figures["diverged"] for each in played])
    figures = np.where(diverged, np.inf, figures)
    best = np.minimum.accumulate(figures, axis=0)
    is_new = np.vstack([np.ones_like(diverged[:1]), figures[1:] < best[:-1]])
    places = np.where(is_new, np.arange(len(played))[:, None], 0)
    winners = np.maximum.accumulate(places, axis=0)
    chosen: np.ndarray = np.take_along_axis(scores(played), winners, axis=0)
    return chosen
