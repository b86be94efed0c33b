"""The search of the base schedule by CMA-ES (Hansen, Ostermeier 2001), before a controller learns.

The optimizer is rebuilt from the outcomes that it was told, so a checkpoint holds nothing else of
it.
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from autoloss_gym import random
from autoloss_gym.controllers.schedule import Schedule
from autoloss_gym.core.task import Control, Task
from autoloss_gym.environment.controls import HoldSchedule
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.tools.forms import Array

from .gradient import group_advantages
from .options import GroupOptions
from .outcomes import final_figures, outcomes_of

POPULATION = 16  # candidates of a generation
_STEP_UNIT = 0.5  # of the log step size, beside 1 for a log weight
# Of a log weight, and 0.5 of it of the log step size. What the best validation does not depend on,
# such as the end of a run, would otherwise drift without end.
_FARTHEST = 5.0


class BaseSearch:
    """Asks for the outcomes of candidates, generation after generation.

    Args:
        task: whose training is scheduled.
        control: whether its actions shift the step size decides whether the search does.
        options: how many runs it may use, knots and problems.
        seed: of the candidates.

    Raises:
        ValueError: there are too few runs for a generation, or the library cmaes is missing.
    """

    def __init__(self, task: Task, control: HoldSchedule, options: GroupOptions, seed: int) -> None:
        self._task = task
        self._control = control
        self._options = options
        self.history: list[np.ndarray] = []
        self.runs_per_generation = POPULATION * options.search_problems
        self.num_generations = _generations(options, self.runs_per_generation)
        if not self.num_generations:
            return
        if importlib.util.find_spec("cmaes") is None:
            raise ValueError(
                "the search of the base schedule needs cmaes: pip install 'autoloss_gym[agents]', "
                "or do without it: -P search_runs=0"
            )
        from cmaes import CMA

        # CMA-ES needs two dimensions; where there is one, the second changes nothing.
        size = max(2, options.search_knots * control.size(task))
        self._optimizer = CMA(
            mean=np.zeros(size),
            sigma=1.0,
            bounds=np.tile([-_FARTHEST, _FARTHEST], (size, 1)),
            seed=seed,
            population_size=POPULATION,
        )

    @property
    def is_over(self) -> bool:
        """Whether all generations have been played."""
        return len(self.history) == self.num_generations

    @property
    def runs(self) -> int:
        """Training runs that have been played."""
        return len(self.history) * self.runs_per_generation

    @property
    def best(self) -> Schedule:
        """The centre after all generations so far; without any, the base that is given."""
        if not self.history:
            return self._control.schedule(self._task)
        return self._schedule(self._optimizer.mean)

    def form(self) -> Array:
        """The form of `costs`."""
        return Array("float64", (None, POPULATION))

    def costs(self) -> np.ndarray:
        """All that it was told, (generations, candidates)."""
        return np.array(self.history, dtype=np.float64).reshape(-1, POPULATION)

    def restore(self, costs: np.ndarray) -> None:
        """Ask and tell again what another search of the same arguments was told."""
        for told in costs:
            self.tell(self._ask(), told)

    def generation(self, envs: AutoLossVectorEnv, first_seed: int) -> None:
        """Play the candidates of the next generation, all on the same problems.

        Args:
            envs: of `runs_per_generation` runs, with any control.
            first_seed: of the problems of the first generation.
        """
        points = self._ask()
        problems = self._options.search_problems
        first = first_seed + len(self.history) * problems
        seeds = np.tile(np.arange(first, first + problems), POPULATION)
        envs.reset(seed=seeds.tolist())
        controls = self._controls([self._schedule(point) for point in points], seeds, envs)
        _, _, ended, _, infos = envs.rollout(controls)
        assert ended.all()
        found = outcomes_of(self._task, final_figures(infos), self._options.outcome)
        by_problem = found.view(POPULATION, problems).T.flatten()
        candidates = replace(self._options, copies=POPULATION)
        gains = group_advantages(by_problem, candidates).view(problems, POPULATION)
        self.tell(points, -gains.double().mean(dim=0).cpu().numpy())

    def tell(self, points: Sequence[np.ndarray], costs: np.ndarray) -> None:
        """The costs of the points that were asked for, (candidates,): small is good."""
        self._optimizer.tell(list(zip(points, costs.tolist(), strict=True)))
        self.history.append(costs)

    def _ask(self) -> list[np.ndarray]:
        return [self._optimizer.ask() for _ in range(POPULATION)]

    def _schedule(self, point: np.ndarray) -> Schedule:
        knots = self._options.search_knots
        entries = self._control.size(self._task)
        logs = point[: knots * entries].reshape(knots, entries)
        others = len(self._task.pairs) - 1
        weights = np.exp(np.concatenate([np.zeros((knots, 1)), logs[:, :others]], axis=1))
        step_size = np.ones(knots)
        if self._control.step_size:
            step_size = np.exp(logs[:, others] * _STEP_UNIT)
        rows = tuple(tuple(row) for row in weights.tolist())
        return Schedule(weights=rows, step_size=tuple(step_size.tolist()))

    def _controls(
        self, schedules: Sequence[Schedule], seeds: np.ndarray, envs: AutoLossVectorEnv
    ) -> list[Control]:
        """What all runs play, from the first update to the last."""
        task, problems = self._task, self._options.search_problems
        runs = random.fold_in(torch.from_numpy(seeds).to(envs.device), "search")
        still = torch.zeros(
            (problems, self._control.size(task)), dtype=torch.float32, device=envs.device
        )
        parts = []
        for index, schedule in enumerate(schedules):
            rows = runs[index * problems : (index + 1) * problems]
            held = replace(self._control, base=schedule)
            parts.append(held.controls(task, rows, still, 0, task.max_steps))
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
