"""What a search varies: the logarithms of a schedule's weights and step size at its knots."""

from dataclasses import dataclass

import numpy as np

from autoloss_gym.controllers.policies.loss_schedule import LossSchedule
from autoloss_gym.controllers.policies.open_loop import OpenLoop
from autoloss_gym.controllers.policy import Policy
from autoloss_gym.controls.schedule import Schedule
from autoloss_gym.core.task import Task

from ..schedule_vectors import (
    knots_of,
    label,
    normalised,
    schedule_of,
    shares,
    with_equal_weights,
)

_WEIGHT_DEVIATION = 1.5  # of ln weight: 95 % of the first candidates are within a factor of 20
_STEP_DEVIATION = 1.0  # of ln step size: within a factor of 7
_REACH = 6.0  # deviations from the centre that a candidate may have at most
_DIGITS = 6  # of a weight or step size: a stored schedule is short and reads back as it was


@dataclass(frozen=True)
class SearchSpace:
    """Schedules with so many knots, as vectors.

    A vector is what `schedule_vectors` makes of them, knot after knot.

    Args:
        task: whose training is scheduled.
        knots: equally spaced moments from the start to the end of training.
        draw: whether the weights are probabilities, with which one pair is drawn at every step.
        step_size: whether the step size varies too.
        weights: whether the weights vary; all are 1 otherwise.
    """

    task: Task
    knots: int
    draw: bool
    step_size: bool = True
    weights: bool = True

    @classmethod
    def of(cls, task: Task, knots: int) -> "SearchSpace":
        """Weights and step size; probabilities instead where weights would change nothing."""
        return cls(task, knots, draw=not task.shares_blocks and len(task.pairs) > 1)

    @classmethod
    def of_step_size(cls, task: Task, knots: int) -> "SearchSpace":
        """The step size alone, of updates on all losses."""
        return cls(task, knots, draw=False, weights=False)

    @property
    def shape(self) -> tuple[int, int]:
        """Of a schedule: its knots, and what varies at each."""
        return self.knots, self._num_weights + self.step_size

    @property
    def size(self) -> int:
        """Entries of a vector."""
        return self.knots * self.shape[1]

    @property
    def deviations(self) -> np.ndarray:
        """How much the first candidates differ in each entry, (size,)."""
        knot = [_WEIGHT_DEVIATION] * self._num_weights
        knot += [_STEP_DEVIATION] * self.step_size
        return np.tile(knot, self.knots)

    @property
    def _num_weights(self) -> int:
        return len(self.task.pairs) - 1 if self.weights else 0

    @property
    def reach(self) -> np.ndarray:
        """The greatest distance from 0 in each entry, (size,)."""
        return _REACH * self.deviations

    def schedule(self, vector: np.ndarray) -> Schedule:
        """The schedule of a vector (size,)."""
        knots = vector.reshape(self.shape)
        if not self.weights:
            knots = with_equal_weights(knots, len(self.task.pairs))
        found = normalised(schedule_of(knots, self.step_size))
        return Schedule(
            weights=tuple(tuple(map(_rounded, row)) for row in found.weights),
            step_size=tuple(map(_rounded, found.step_size)),
        )

    def vector(self, schedule: Schedule) -> np.ndarray:
        """The vector (size,) of a schedule, which may have another number of knots."""
        knots = knots_of(schedule, self.knots, self.step_size)
        vector = knots[:, knots.shape[1] - self.shape[1] :].reshape(-1)
        return np.clip(vector, -self.reach, self.reach)

    def shifted(self, schedule: Schedule, shift: np.ndarray) -> Schedule:
        """The schedule with the same shift (entries of a knot,) at every knot."""
        return self.schedule(self.vector(schedule) + np.tile(shift, self.knots))

    def policy(self, schedule: Schedule) -> Policy:
        """What plays a schedule."""
        if not self.step_size:
            name = label(schedule, draw=True, step_size=False)
            return OpenLoop(name, shares(schedule), self.task.max_steps)
        return LossSchedule(label(schedule, self.draw), schedule, self.task.max_steps, self.draw)


def spread_points(count: int, size: int) -> np.ndarray:
    """Quasi-random points (count, size) of a normal distribution; the first is 0.

    They are Sobol's, in his order, so that the first k are spread well for every k.
    """
    from scipy.stats import norm, qmc

    sequence = qmc.Sobol(size, scramble=False)
    sequence.fast_forward(1)  # over the corner 0, to the centre
    points: np.ndarray = norm.ppf(sequence.random(count))
    return points


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
