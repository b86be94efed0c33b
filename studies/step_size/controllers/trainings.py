"""Trainings and searches, each in a folder of its own that a killed study goes on from."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.configuration import TrainingConfiguration, hyperparameters
from agents.environments import SEED_SPACING, EnvironmentMaker
from agents.evaluation.schedule_search import find_schedule
from agents.learners.groups.base_files import load_base, load_training_runs, save_base
from agents.learners.learner import make_learner
from agents.run_folders import save_configuration
from autoloss_gym.controls.schedule import Schedule
from autoloss_gym.tools.arguments import build
from studies.step_size.controllers.settings import Family, Row

_DONE = "done"  # a file in the folder of a training that is over
_SEARCHES = SEED_SPACING * 100  # their problems are not those of a training
_OF_COMMAND = ("num_envs", "n_timesteps")


@dataclass(frozen=True)
class Training:
    """One training of a row.

    Args:
        family: on whose problems.
        name: of the row.
        seed: of the training.
        folder: of the family; that of the training is <row>/<seed> in it.
    """

    family: Family
    name: str
    seed: int
    folder: Path

    @property
    def own_folder(self) -> Path:
        return self.folder / self.name / str(self.seed)

    @property
    def row(self) -> Row:
        """What is trained."""
        return self.family.rows[self.name]

    def run(self) -> None:
        """Train, unless that is done; go on where it was stopped."""
        folder = self.own_folder
        if (folder / _DONE).exists():
            return
        configuration = self._configuration()
        if not (folder / "config.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            save_configuration(folder, configuration)
        make_learner(configuration).train(folder)
        (folder / _DONE).touch()

    def _configuration(self) -> TrainingConfiguration:
        family, row = self.family, self.row
        kwargs = {**family.env_kwargs, **row.env_kwargs}
        own = dict(row.hyperparameters)
        if row.base:
            base = dataclasses.replace(self, name=row.base).own_folder
            arguments = dict(kwargs.get("control_arguments") or {})
            kwargs["control_arguments"] = {**arguments, "base": load_base(base)}
            own["search_runs"] = 0
        usual = hyperparameters(row.algo, family.env)
        chosen = {name: value for name, value in usual.items() if name not in _OF_COMMAND}
        return TrainingConfiguration(
            algo=row.algo,
            env=family.env,
            env_kwargs=kwargs,
            num_envs=row.num_envs,
            n_timesteps=row.n_timesteps,
            seed=self.seed,
            hyperparameters={**chosen, **own},
        )


@dataclass(frozen=True)
class OpenLoop:
    """A schedule of the step size alone, searched by CMA-ES on training problems.

    Args:
        family: whose training problems it uses.
        knots: of the schedule.
        seed: of the problems.
        training_runs: the most that it may cost.
        folder: of the family.
    """

    family: Family
    knots: int
    seed: int
    training_runs: int
    folder: Path

    @property
    def own_folder(self) -> Path:
        return self.folder / f"open_loop_{self.knots}" / str(self.seed)

    def run(self) -> None:
        """Search, unless that is done; go on where it was stopped."""
        if (self.own_folder / "schedule.json").exists():
            return
        self.own_folder.mkdir(parents=True, exist_ok=True)
        make_env = EnvironmentMaker(self.family.env, dict(self.family.env_kwargs))
        found = find_schedule(
            make_env(num_envs=1).task,
            make_env,
            self.knots,
            self.training_runs,
            _SEARCHES + self.seed * SEED_SPACING,
            weights=False,
            folder=self.own_folder / "episodes",
        )
        save_base(self.own_folder, found.schedule, {"search": found.training_runs})

    def load(self) -> Schedule:
        """What it found."""
        stored: dict[str, Any] = load_base(self.own_folder)
        return build(Schedule, stored)

    def cost(self) -> int:
        """Training runs that it has spent."""
        return load_training_runs(self.own_folder)
