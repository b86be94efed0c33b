"""The search of the base schedule by CMA-ES, before a controller learns.

The optimizer is rebuilt from the outcomes that it was told, so a checkpoint holds nothing else of
it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from autoloss_gym import random
from autoloss_gym.controls import HoldSchedule
from autoloss_gym.controls.schedule import Schedule
from autoloss_gym.core.task import Control, Task
from autoloss_gym.environment.runs import describe
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.tools.forms import Array

from ...schedule_vectors import Evolution, check_cmaes, schedule_of, with_equal_weights
from .gradient import group_advantages
from .options import GroupOptions
from .outcomes import final_figures, outcomes_of

POPULATION = 16  # candidates of a generation
_STEP_DEVIATION = 0.5  # of the log step size among the first candidates; 1 of a log weight
# Deviations from plain training that a candidate may have. What the best validation does not
# depend on, such as the end of a run, would otherwise drift without end.
_FARTHEST = 5.0


class BaseSearch:
    """Asks for the outcomes of candidates, generation after generation.

    Args:
        task: whose training is scheduled.
        control: what its actions shift, weights or step size, is what the search varies.
        options: how many runs it may use, knots and problems.
        seed: of the candidates.

    Raises:
        ValueError: there are too few runs for a generation, or the library cmaes is missing.
    """

    def __init__(self, task: Task, control: HoldSchedule, options: GroupOptions, seed: int) -> None:
        self._task = task
        self._description = describe(task)
        self._control = control
        self._options = options
        weights = control.shifted_weights(self._description)
        knot = [1.0] * weights + [_STEP_DEVIATION] * control.step_size
        deviations = np.tile(knot, options.search_knots)
        centre, reach = np.zeros(len(deviations)), _FARTHEST * deviations
        self._evolution = Evolution(centre, deviations, reach, POPULATION, seed)
        self.runs_per_generation = POPULATION * options.search_problems
        self.num_generations = _generations(options, self.runs_per_generation)
        if self.num_generations:
            instead = ", or do without it: -P search_runs=0"
            check_cmaes("the search of the base schedule", instead)

    @property
    def is_over(self) -> bool:
        """Whether all generations have been played."""
        return len(self._evolution.told) == self.num_generations

    @property
    def runs(self) -> int:
        """Training runs that have been played."""
        return len(self._evolution.told) * self.runs_per_generation

    @property
    def best(self) -> Schedule:
        """The centre after all generations so far; without any, the base that is given."""
        if not self._evolution.told:
            return self._control.schedule(self._description)
        return self._schedule(self._evolution.centre)

    def form(self) -> Array:
        """The form of `costs`."""
        return Array("float64", (None, POPULATION))

    def costs(self) -> np.ndarray:
        """All that it was told, (generations, candidates)."""
        return np.array(self._evolution.told, dtype=np.float64).reshape(-1, POPULATION)

    def restore(self, costs: np.ndarray) -> None:
        """Ask and tell again what another search of the same arguments was told."""
        self._evolution.repeat(costs)

    def generation(self, envs: AutoLossVectorEnv, first_seed: int) -> None:
        """Play the candidates of the next generation, all on the same problems.

        Args:
            envs: of `runs_per_generation` runs, with any control.
            first_seed: of the problems of the first generation.
        """
        points = self._evolution.ask()
        problems = self._options.search_problems
        first = first_seed + len(self._evolution.told) * problems
        seeds = np.tile(np.arange(first, first + problems), POPULATION)
        envs.reset(seed=seeds.tolist())
        controls = self._controls([self._schedule(point) for point in points], seeds, envs)
        _, _, ended, _, infos = envs.rollout(controls)
        assert ended.all()
        found = outcomes_of(self._task, final_figures(infos), self._options.outcome)
        by_problem = found.view(POPULATION, problems).T.flatten()
        candidates = replace(self._options, copies=POPULATION)
        gains = group_advantages(by_problem, candidates).view(problems, POPULATION)
        self._evolution.tell(-gains.double().mean(dim=0).cpu().numpy())

    def _schedule(self, vector: np.ndarray) -> Schedule:
        knots = vector.reshape(self._options.search_knots, -1)
        if not self._control.weights:
            knots = with_equal_weights(knots, len(self._task.pairs))
        return schedule_of(knots, self._control.step_size)

    def _controls(
        self, schedules: Sequence[Schedule], seeds: np.ndarray, envs: AutoLossVectorEnv
    ) -> list[Control]:
        """What all runs play, from the first update to the last."""
        problems = self._options.search_problems
        description = self._description
        runs = random.fold_in(torch.from_numpy(seeds).to(envs.device), "search")
        still = torch.zeros(
            (problems, self._control.size(description)), dtype=torch.float32, device=envs.device
        )
        parts = []
        for index, schedule in enumerate(schedules):
            rows = runs[index * problems : (index + 1) * problems]
            held = replace(self._control, base=schedule)
            parts.append(held.controls(description, rows, still, 0, description.max_steps))
        return [_joined(controls) for controls in zip(*parts, strict=True)]


def _joined(controls: Sequence[Control]) -> Control:
    """The controls of several batches of runs as one."""
    choices: list[Any] = [control.choice for control in controls]
    everyone_chose = all(choice is not None for choice in choices)
    return Control(
        weights=torch.cat([control.weights for control in controls]),
        step_size=torch.cat([control.step_size for control in controls]),
        choice=np.concatenate(choices) if everyone_chose else None,
    )


def _generations(options: GroupOptions, runs: int) -> int:
    if options.search_runs and options.search_runs < runs:
        raise ValueError(
            f"search_runs={options.search_runs}: expected 0, or at least the {runs} of a "
            f"generation ({POPULATION} candidates on {options.search_problems} problems)"
        )
    return options.search_runs // runs
