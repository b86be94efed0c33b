"""What all that is compared scores on the same unseen problems."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.environments import EnvironmentMaker
from agents.evaluation.costs import training_runs
from agents.evaluation.rollout import Episodes, rollout
from agents.evaluation.selection import choose
from agents.evaluation.store import EpisodeStore
from agents.policies.step_sizes import FACTORS, constant_step, cosine_step
from agents.policies.trained.trained_policy import TrainedPolicy
from autoloss_gym.controllers.policies.loss_schedule import LossSchedule
from autoloss_gym.controllers.policy import Policy
from autoloss_gym.controls.schedule import Schedule
from autoloss_gym.core.task import Task
from studies.step_size.controllers.settings import Family
from studies.step_size.controllers.trainings import OpenLoop, Training

_MAKERS: dict[str, Callable[[str, float, Task], Policy]] = {
    "constant": constant_step,
    "cosine": cosine_step,
}


@dataclass(frozen=True)
class Entrant:
    """One that is compared.

    Args:
        title: in tables.
        scores: on the unseen problems, (trainings, problems).
        training_runs: that one training, search or choice has cost.
        note: what was found or chosen.
    """

    title: str
    scores: np.ndarray
    training_runs: int
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Plays policies on problems of a family, each batch once.

    Args:
        family: the problems.
        folder: keeps finished batches.
    """

    family: Family
    folder: Path

    def trained(self, trainings: Sequence[Training]) -> Entrant:
        """A row with all its trainings."""
        row = trainings[0].row
        policies = [TrainedPolicy(each.own_folder, self.family.env, True) for each in trainings]
        make_env = EnvironmentMaker(self.family.env, dict(self.family.env_kwargs))
        costs = []
        for policy in policies:
            envs = make_env(num_envs=1, **policy.env_arguments)
            policy.load(envs)
            costs.append(training_runs(policy, envs))
        return Entrant(row.title, self._scores(policies), max(costs))

    def open_loop(self, searches: Sequence[OpenLoop]) -> Entrant:
        """The schedules that several searches have found."""
        found = [each.load() for each in searches]
        policies = [self._scheduled(f"search {i}", each) for i, each in enumerate(found)]
        title = f"open loop, {searches[0].knots} knots"
        steps = " → ".join(f"{value:.2g}" for value in found[0].step_size)
        return Entrant(title, self._scores(policies), searches[0].cost(), steps)

    def best(self, kind: str) -> Entrant:
        """The constant, or the cosine, of the factor that does best on validation problems."""
        task = self._task()
        field = [_MAKERS[kind](f"{kind}:{factor:g}", factor, task) for factor in FACTORS]
        seeds = np.arange(self.family.choosing)

        def play(policies: Sequence[Policy], seeds: np.ndarray) -> list[Episodes]:
            return self._played(policies, "validation", seeds)

        (choice,) = choose([field], play, seeds, task.score_metrics[0].minimize)
        title = f"best {kind} of {len(FACTORS)}"
        scores = self._scores([choice.policy])
        return Entrant(title, scores, choice.training_runs, choice.policy.label)

    def plain(self) -> Entrant:
        """The task as it is."""
        return Entrant("plain training", self._scores([constant_step("1", 1.0, self._task())]), 0)

    def rule(self, title: str) -> Entrant:
        """A step size in closed form."""
        arguments = self.family.rules[title]
        policy = constant_step(title, 1.0, self._task(**arguments))
        return Entrant(title, self._scores([policy], **arguments), 0)

    def _scheduled(self, label: str, schedule: Schedule) -> LossSchedule:
        return LossSchedule(label, schedule, self._task().max_steps)

    def _scores(self, policies: Sequence[Policy], **arguments: Any) -> np.ndarray:
        """Best scores on the unseen problems, (policies, problems), float64."""
        seeds = np.arange(self.family.episodes)
        played = self._played(policies, "test", seeds, **arguments)
        return np.stack([each.best_scores for each in played]).astype(np.float64)

    def _played(
        self, policies: Sequence[Policy], split: str, seeds: np.ndarray, **arguments: Any
    ) -> list[Episodes]:
        kwargs = {**self.family.env_kwargs, **arguments, "split": split}
        store = EpisodeStore(self.folder / "episodes", split, self._task(**arguments))
        return rollout(policies, EnvironmentMaker(self.family.env, kwargs), seeds, store=store)

    def _task(self, **arguments: Any) -> Task:
        make_env = EnvironmentMaker(self.family.env, dict(self.family.env_kwargs))
        return make_env(num_envs=1, **arguments).task
