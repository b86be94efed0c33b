"""The search of schedules by CMA-ES, on training problems."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from autoloss_gym.controllers.policy import Policy
from autoloss_gym.controls.schedule import Schedule
from autoloss_gym.core.task import Task

from ..environments import MakeEnv
from ..policies.search_plan import Plan
from ..policies.search_space import SearchSpace
from ..schedule_vectors import Evolution
from .rollout import Episodes, Play, Progress, rollout
from .store import EpisodeStore

Figure = Literal["best_score", "best_validation"]


@dataclass(frozen=True)
class Found:
    """The result of a search.

    Args:
        schedules: the centre of the search after each generation.
        training_runs: what it cost.
    """

    schedules: tuple[Schedule, ...]
    training_runs: int

    @property
    def schedule(self) -> Schedule:
        """The last one."""
        return self.schedules[-1]


def find_schedule(
    task: Task,
    make_env: MakeEnv,
    knots: int = 4,
    training_runs: int = 10_000,
    first_problem: int = 0,
    start: Schedule | None = None,
    spread: float = 1.0,
    figure: Figure = "best_score",
    weights: bool = True,
    folder: Path | None = None,
    progress: Progress = lambda done, total: None,
) -> Found:
    """Search a schedule of loss weights and step size for a task.

    Args:
        task: whose training is scheduled.
        make_env: (num_envs, **arguments) → environment of training problems.
        knots: of the schedule.
        training_runs: the most that it may cost.
        first_problem: number of the first training problem.
        start, spread, figure: as in `search`.
        weights: whether weights vary beside the step size; all are 1 otherwise.
        folder: keeps finished batches; the same search continues from them after it was killed.
        progress: called with the training runs that are done, and their total.

    Raises:
        ValueError: the training runs are too few.
    """
    space = SearchSpace.of(task, knots) if weights else SearchSpace.of_step_size(task, knots)
    plan = Plan.within(training_runs, space.size)
    store = EpisodeStore(folder, "train", task) if folder else None
    within_search = whole_search(plan, progress)

    def play(policies: Sequence[Policy], seeds: np.ndarray) -> list[Episodes]:
        return rollout(policies, make_env, seeds, within_search, store)

    metrics = task.score_metrics if figure == "best_score" else task.validation_metrics
    seeds = first_problem + np.arange(plan.all_problems)
    return search(space, plan, play, seeds, metrics[0].minimize, start, spread, figure)


def whole_search(plan: Plan, progress: Progress) -> Progress:
    """What reports a search to `progress`, given the reports of its generations."""
    before = 0

    def report(done: int, generation: int) -> None:
        nonlocal before
        progress(before + done, plan.training_runs)
        if done == generation:
            before += done

    return report


def search(
    space: SearchSpace,
    plan: Plan,
    play: Play,
    seeds: np.ndarray,
    minimize: bool,
    start: Schedule | None = None,
    spread: float = 1.0,
    figure: Figure = "best_score",
) -> Found:
    """Search the schedule with the best mean figure.

    CMA-ES looks at the ranks of a generation's means alone, so that a score that is far from the
    others moves it no further than another bad one. All that is drawn is a function of the
    arguments: a search that was killed goes on where `play` gives back what it has kept.

    Args:
        space: where it searches.
        plan: what it spends.
        play: (policies, seeds) → their episodes on training problems.
        seeds: (plan.all_problems,), int64, numbers of these problems.
        minimize: whether a low figure is good.
        start: the first centre; by default plain training.
        spread: factor on the first deviations, for example 0.3 from a good start.
        figure: of the episodes, which is to be the best.
    """
    centre = space.vector(start) if start else np.zeros(space.size)
    evolution = Evolution(centre, space.deviations * spread, space.reach, plan.population)

    found: list[Schedule] = []
    for part in np.split(seeds, plan.generations):
        schedules = [space.schedule(vector) for vector in evolution.ask()]
        played = play([space.policy(each) for each in schedules], part)
        evolution.tell(_costs(played, figure, minimize))
        found.append(space.schedule(evolution.centre))
    return Found(tuple(found), plan.training_runs)


def _costs(played: Sequence[Episodes], figure: Figure, minimize: bool) -> np.ndarray:
    """The mean figure of each schedule, as a cost, (schedules,)."""
    sign = 1.0 if minimize else -1.0
    costs = sign * np.stack([episodes.figures[figure] for episodes in played]).astype(np.float64)
    if figure == "best_validation":
        # Unlike a score, it stays what it was when the run diverged later.
        diverged = np.stack([episodes.figures["diverged"] for episodes in played])
        worst = np.where(diverged, -np.inf, costs).max(axis=0)
        worst[np.isneginf(worst)] = 0.0  # the problem tells nothing: all diverged
        costs = np.where(diverged, worst, costs)
    means: np.ndarray = costs.mean(axis=1)
    return means
