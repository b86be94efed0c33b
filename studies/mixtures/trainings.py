"""The trainings of a study, each in a folder of its own that a killed study goes on from."""

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.configuration import ENVIRONMENT_DEFAULTS, TrainingConfiguration, hyperparameters
from agents.environments import SEED_SPACING, EnvironmentMaker
from agents.evaluation.schedule_search import find_schedule
from agents.learners.groups.base_files import load_base, save_base
from agents.learners.learner import make_learner
from agents.run_folders import save_configuration
from autoloss_gym.controls import HoldSchedule
from autoloss_gym.controls.schedule import Schedule
from autoloss_gym.tools.arguments import build
from autoloss_gym.tools.forms import Real
from autoloss_gym.tools.stored import read_values, write_values
from studies.mixtures.settings import CONTROLLER, MAIN, Family, Row

_OPEN_LOOPS = SEED_SPACING * 100  # their problems are not those of a controller's training


@dataclass(frozen=True)
class Training:
    """One training of a row.

    Args:
        family: that it is trained on.
        row: what is trained.
        seed: of the training.
        folder: of the family; that of the training is <row>/<seed> in it.
        name: of the row.
    """

    family: Family
    row: Row
    seed: int
    folder: Path
    name: str

    @property
    def own_folder(self) -> Path:
        return self.folder / self.name / str(self.seed)

    def run(self) -> None:
        """Train, unless that is done; go on where it was stopped."""
        folder = self.own_folder
        if (folder / "cost.json").exists():
            return
        configuration = self._configuration()
        if not (folder / "config.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            save_configuration(folder, configuration)
        learner = make_learner(configuration)
        started = time.process_time()
        learner.train(folder)
        seconds = time.process_time() - started
        write_values(folder / "cost.json", {"runs": float(self.cost()), "seconds": seconds})

    def cost(self) -> int:
        """Training runs that it needs, those of the search of its base among them."""
        family = self.family
        updates = family.num_envs * family.updates
        measured = family.num_envs if self.row.algo == "group" else 0
        return family.search_runs + updates + measured

    def _configuration(self) -> TrainingConfiguration:
        family, row = self.family, self.row
        arguments: dict[str, Any] = dict(row.control_arguments)
        own: dict[str, Any] = {"outcome": family.outcome} if row.algo == "group" else {}
        if row.own_base:
            own["search_runs"] = family.search_runs
        else:
            base = Training(family, MAIN[CONTROLLER], self.seed, self.folder, CONTROLLER)
            arguments["base"] = load_base(base.own_folder)
        usual = {**ENVIRONMENT_DEFAULTS["group"], **family.env_kwargs}
        kwargs = {**usual, **row.env_kwargs, "control_arguments": arguments}
        chosen = hyperparameters(row.algo, family.env)
        num_envs = 64 if row.algo == "sac" else family.num_envs
        chosen = {k: v for k, v in chosen.items() if k not in ("num_envs", "n_timesteps")}
        runs = family.num_envs * family.updates
        return TrainingConfiguration(
            algo=row.algo,
            env=family.env,
            env_kwargs=kwargs,
            num_envs=num_envs,
            n_timesteps=runs * self._decisions(kwargs),
            seed=self.seed,
            hyperparameters={**chosen, **own, **row.hyperparameters},
        )

    def _decisions(self, kwargs: dict[str, Any]) -> int:
        envs = EnvironmentMaker(self.family.env, kwargs)(num_envs=1)
        assert isinstance(envs.control, HoldSchedule)
        return len(envs.control.moments(envs.description))


@dataclass(frozen=True)
class OpenLoopSearch:
    """The search of an open loop with the budget of a controller.

    Args:
        family: whose training problems it uses.
        seed: of the problems.
        training_runs: the most that it may cost.
        folder: of the family.
        knots: of the schedule.
    """

    family: Family
    seed: int
    training_runs: int
    folder: Path
    knots: int = 4

    @property
    def own_folder(self) -> Path:
        return self.folder / f"open_loop_{self.knots}" / str(self.seed)

    def run(self) -> None:
        """Search, unless that is done; go on where it was stopped."""
        if (self.own_folder / "schedule.json").exists():
            return
        self.own_folder.mkdir(parents=True, exist_ok=True)
        make_env = EnvironmentMaker(self.family.env, dict(self.family.env_kwargs))
        first = _OPEN_LOOPS + self.seed * SEED_SPACING
        found = find_schedule(
            make_env(num_envs=1).task,
            make_env,
            self.knots,
            self.training_runs,
            first,
            folder=self.own_folder / "episodes",
        )
        save_base(self.own_folder, found.schedule, {"search": found.training_runs})

    def load(self) -> Schedule:
        """What it found."""
        return schedule_of(self.own_folder)


def run_all(jobs: Sequence[Callable[[], None]], pool: Executor | None) -> None:
    """Run all of them, in the processes of the pool where there is one."""
    if pool is None:
        for job in jobs:
            job()
        return
    waiting = [pool.submit(job) for job in jobs]
    for number, each in enumerate(waiting, 1):
        each.result()
        print(f"{number} of {len(jobs)} trainings", file=sys.stderr, flush=True)


def schedule_of(folder: Path) -> Schedule:
    """The schedule that a training or a search has stored."""
    stored = load_base(folder)
    return build(Schedule, stored)


def cost_of(training: Training) -> dict[str, float]:
    """Training runs and seconds of a processor that a training has cost."""
    form = {"runs": Real(0, 1e12), "seconds": Real(0, 1e12)}
    return read_values(training.own_folder / "cost.json", form)
