"""Policies that a search finds: schedules, open loops, constants and shifts of a schedule."""

from dataclasses import dataclass

import numpy as np

from autoloss_gym.controllers.policy import Policy
from autoloss_gym.controls.schedule import Schedule

from ..schedule_vectors import check_cmaes
from .kinds import Specification
from .policy import Candidates, Setting
from .requirements import check_choice
from .search_plan import Plan
from .search_space import SearchSpace, spread_points

_KNOTS = 4  # of the schedule that is shifted
# Of ln weight of constants, which have a Laplace distribution around plain training: half of the
# weights are within a factor of 3, 95 % within 90. What a search has found needs shorter shifts.
_CONSTANT_SCALE = 1.5


@dataclass(frozen=True)
class Search:
    """What a search is to find, and what it spends.

    Args:
        space: the schedules that it searches.
        plan: its generations.
        shifts: candidates that are shifts of what is found, from which each problem takes its best;
            0 where what is found is the policy itself.
    """

    space: SearchSpace
    plan: Plan
    shifts: int = 0

    def candidates(self, schedules: tuple[Schedule, ...]) -> list[Policy]:
        """The entrant's policies.

        Args:
            schedules: the centre of the search after each generation.
        """
        if self.shifts:
            deviations = self.space.deviations[: self.space.shape[1]]
            shifts = spread_points(self.shifts, len(deviations)) * deviations
            return _shifted(self.space, schedules[-1], shifts)
        # Early centres are far from the end; to choose among the late ones costs few runs.
        late = schedules[len(schedules) // 2 :]
        return [self.space.policy(each) for each in dict.fromkeys(late)]


def build_open_loop(specification: Specification, setting: Setting) -> Candidates:
    """Probabilities of pairs; the search leaves the step size alone."""
    check_choice(specification.text, setting.task)
    knots, training_runs = specification.value
    space = SearchSpace(setting.task, knots, draw=True, step_size=False)
    return Candidates([], "tuned", search=_search(specification, space, training_runs))


def build_schedule(specification: Specification, setting: Setting) -> Candidates:
    """Weights of all losses and the step size together."""
    knots, training_runs = specification.value
    space = SearchSpace.of(setting.task, knots)
    return Candidates([], "tuned", search=_search(specification, space, training_runs))


def build_shifted_each(specification: Specification, setting: Setting) -> Candidates:
    """Shifts of the schedule that `schedule` finds with the same budget."""
    shifts, training_runs = specification.value
    space = SearchSpace.of(setting.task, _KNOTS)
    return Candidates([], "each", search=_search(specification, space, training_runs, shifts))


def build_constant(specification: Specification, setting: Setting) -> Candidates:
    """Constants, of which validation problems choose one."""
    return Candidates(_constants(specification, setting), "tuned")


def build_constant_each(specification: Specification, setting: Setting) -> Candidates:
    """Constants, of which each problem chooses its own."""
    return Candidates(_constants(specification, setting), "each")


def _search(
    specification: Specification, space: SearchSpace, training_runs: int, shifts: int = 0
) -> Search:
    try:
        check_cmaes("the search")
        return Search(space, Plan.within(training_runs, space.size), shifts)
    except ValueError as error:
        raise ValueError(f"policy {specification.text!r}: {error}") from None


def _constants(specification: Specification, setting: Setting) -> list[Policy]:
    from scipy.stats import laplace, norm

    space = SearchSpace.of(setting.task, knots=1)
    num_pairs = len(setting.task.pairs)
    points = spread_points(specification.value, space.size)
    shifts = points * space.deviations
    # Most near 1, and yet some far from it, where a loss dwarfs the others.
    weights = points[:, : num_pairs - 1]
    shifts[:, : num_pairs - 1] = laplace.ppf(norm.cdf(weights)) * _CONSTANT_SCALE
    return _shifted(space, Schedule.constant(num_pairs), shifts)


def _shifted(space: SearchSpace, schedule: Schedule, shifts: np.ndarray) -> list[Policy]:
    """What plays a schedule with shifts (policies, entries of a knot)."""
    return [space.policy(space.shifted(schedule, shift)) for shift in shifts]
