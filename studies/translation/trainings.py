"""Trainings and searches, each in a folder of its own that a killed study goes on from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from agents.configuration import ENVIRONMENT_DEFAULTS, TrainingConfiguration, hyperparameters
from agents.environments import SEED_SPACING, EnvironmentMaker
from agents.evaluation.rollout import Episodes, rollout
from agents.evaluation.schedule_search import search
from agents.evaluation.store import EpisodeStore
from agents.learners.groups.base_files import load_base, load_training_runs, save_base
from agents.learners.groups.base_search import POPULATION
from agents.learners.learner import make_learner
from agents.policies.search_plan import Plan
from agents.policies.search_space import SearchSpace
from agents.run_folders import save_configuration
from autoloss_gym.controllers.policy import Policy
from autoloss_gym.controls.schedule import Schedule
from autoloss_gym.core.task import Task
from autoloss_gym.tools.arguments import build
from studies.translation.settings import BLIND, DECISIONS, ENV, GROUP, KNOTS, PPO, Study

_DONE = "done"  # a file in the folder of a training that is over
_SEARCHES = SEED_SPACING * 100  # their problems are not those of a training
_VALIDATIONS = 3  # between two updates of PPO
_OF_COMMAND = ("num_envs", "n_timesteps")
# A reward comes with a validation, up to some fifty decisions after what has earned it.
_PPO = {"gamma": 0.999, "gae_lambda": 0.99, "learning_rate": 1e-3, "n_epochs": 5}


@dataclass(frozen=True)
class Training:
    """One training of a learner.

    Args:
        study: whose problems it meets.
        budget: updates of a run.
        name: PPO, GROUP or BLIND.
        seed: of the training.
        folder: of the budget; that of the training is <name>_<training runs>/<seed> in it.
    """

    study: Study
    budget: int
    name: str
    seed: int
    folder: Path

    @property
    def own_folder(self) -> Path:
        return self.folder / f"{self.name}_{self.study.training_runs}" / str(self.seed)

    def run(self) -> None:
        """Train, unless that is done; go on where it was stopped."""
        folder = self.own_folder
        if (folder / _DONE).exists():
            return
        configuration = self.configuration()
        if not (folder / "config.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            save_configuration(folder, configuration)
        make_learner(configuration).train(folder)
        (folder / _DONE).touch()

    def configuration(self) -> TrainingConfiguration:
        """Everything that determines it; a blind copy's is known once its base is found."""
        return self._ppo() if self.name == PPO else self._group()

    def _ppo(self) -> TrainingConfiguration:
        study = self.study
        kwargs = {**study.arguments(self.budget), "reward": "shaped"}
        n_steps = _VALIDATIONS * _task(kwargs).validate_every
        sizes = {"n_steps": n_steps, "batch_size": n_steps * study.num_envs // 4}
        n_timesteps = study.training_runs * self.budget
        return self._configuration(PPO, kwargs, study.num_envs, n_timesteps, {**_PPO, **sizes})

    def _group(self) -> TrainingConfiguration:
        study, sizes = self.study, self.study.group
        kwargs = study.arguments(self.budget)
        every = _decision_interval(_task(kwargs))
        control: dict[str, Any] = {"every": every, "draw": True, "step_size": False}
        searched = search_runs(study)
        own = {
            "copies": sizes.copies,
            "search_runs": searched,
            "search_problems": sizes.search_problems,
            "outcome": study.outcome,
        }
        if self.name == BLIND:
            own |= {"blind": True, "search_runs": 0}
            control["base"] = load_base(replace(self, name=GROUP).own_folder)
        kwargs = {**ENVIRONMENT_DEFAULTS["group"], **kwargs, "control_arguments": control}
        updates = (study.training_runs - searched) // sizes.num_envs - 1  # one is the measurement
        n_timesteps = updates * sizes.num_envs * -(-self.budget // every)
        return self._configuration("group", kwargs, sizes.num_envs, n_timesteps, own)

    def _configuration(
        self,
        algo: str,
        kwargs: dict[str, Any],
        num_envs: int,
        n_timesteps: int,
        own: dict[str, Any],
    ) -> TrainingConfiguration:
        usual = hyperparameters(algo, ENV)
        chosen = {name: value for name, value in usual.items() if name not in _OF_COMMAND}
        return TrainingConfiguration(
            algo=algo,
            env=ENV,
            env_kwargs=kwargs,
            num_envs=num_envs,
            n_timesteps=n_timesteps,
            seed=self.seed,
            hyperparameters={**chosen, **own},
        )


@dataclass(frozen=True)
class OpenLoopSearch:
    """Probabilities of pairs that change with progress, searched by CMA-ES on training problems.

    Args:
        study: whose training problems it uses.
        budget: updates of a run.
        seed: of the problems.
        folder: of the budget.
    """

    study: Study
    budget: int
    seed: int
    folder: Path

    @property
    def own_folder(self) -> Path:
        return self.folder / f"open_loop_{self.study.training_runs}" / str(self.seed)

    def run(self) -> None:
        """Search, unless that is done; go on where it was stopped."""
        if (self.own_folder / "schedule.json").exists():
            return
        self.own_folder.mkdir(parents=True, exist_ok=True)
        make_env = EnvironmentMaker(ENV, self.study.arguments(self.budget))
        task = make_env(num_envs=1).task
        space = _space(task)
        plan = Plan.within(self.study.training_runs, space.size)
        store = EpisodeStore(self.own_folder / "episodes", "train", task)

        def play(policies: Sequence[Policy], seeds: np.ndarray) -> list[Episodes]:
            return in_logs(rollout(policies, make_env, seeds, store=store))

        first = _SEARCHES + self.seed * SEED_SPACING
        is_known = self.study.outcome == "truth"
        found = search(
            space,
            plan,
            play,
            first + np.arange(plan.all_problems),
            task.validation_metrics[0].minimize,
            figure="best_score" if is_known else "best_validation",
        )
        save_base(self.own_folder, found.schedule, {"search": found.training_runs})

    def policy(self, task: Task) -> Policy:
        """What plays the schedule that it found."""
        return _space(task).policy(build(Schedule, load_base(self.own_folder)))

    def cost(self) -> int:
        """Training runs that it has spent."""
        return load_training_runs(self.own_folder)


def in_logs(played: Sequence[Episodes]) -> list[Episodes]:
    """The same with logarithms of perplexities, whose means are what tables compare."""
    figures = ("best_score", "best_validation")
    return [
        replace(
            each, figures={**each.figures, **{name: np.log(each.figures[name]) for name in figures}}
        )
        for each in played
    ]


def search_runs(study: Study) -> int:
    """Training runs of a group controller's search: whole generations, and at least one."""
    generation = POPULATION * study.group.search_problems
    return generation * max(1, int(study.training_runs * study.group.search_share) // generation)


def _decision_interval(task: Task) -> int:
    """Updates between two decisions, a multiple of those between two validations."""
    validations = round(task.max_steps / DECISIONS / task.validate_every)
    return max(1, validations) * task.validate_every


def _space(task: Task) -> SearchSpace:
    return SearchSpace(task, KNOTS, draw=True, step_size=False)


def _task(kwargs: dict[str, Any]) -> Task:
    return EnvironmentMaker(ENV, kwargs)(num_envs=1).task
