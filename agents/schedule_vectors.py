"""Schedules as vectors of logarithms, and CMA-ES among such vectors.

A knot of a schedule has the logarithms of the weights of all pairs but the first, relative to that
one, and then, where the step size varies, that of the step size. 0 is plain training.
"""

import functools
import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np

from autoloss_gym.controls.schedule import Schedule

if TYPE_CHECKING:
    from cmaes import CMA


def schedule_of(knots: np.ndarray, step_size: bool = True) -> Schedule:
    """The schedule whose logarithms are given; the first pair has the weight 1.

    Args:
        knots: (knots, columns), float64.
        step_size: whether the last column is that of the step size, which is 1 otherwise.
    """
    logs = knots[:, : knots.shape[1] - step_size]
    weights = np.exp(np.concatenate([np.zeros((len(knots), 1)), logs], axis=1))
    steps = np.exp(knots[:, -1]) if step_size else np.ones(len(knots))
    return Schedule(weights=tuple(map(tuple, weights.tolist())), step_size=tuple(steps.tolist()))


def knots_of(schedule: Schedule, count: int, step_size: bool = True) -> np.ndarray:
    """The logarithms of a schedule at so many knots, (count, columns); see `schedule_of`."""
    weights = np.log(np.array(schedule.weights))
    columns = [*(weights[:, 1:] - weights[:, :1]).T]
    if step_size:
        columns.append(np.log(np.array(schedule.step_size)))
    places, known = np.linspace(0, 1, count), np.linspace(0, 1, len(weights))
    return np.stack([np.interp(places, known, column) for column in columns], axis=1)


def with_equal_weights(step_sizes: np.ndarray, num_pairs: int) -> np.ndarray:
    """Knots (knots, columns) whose step sizes are those given, (knots, 1), and all weights 1."""
    return np.concatenate([np.zeros((len(step_sizes), num_pairs - 1)), step_sizes], axis=1)


def normalised(schedule: Schedule) -> Schedule:
    """The same schedule with weights that sum to the number of pairs."""
    weights = np.array(schedule.weights)
    weights *= schedule.num_pairs / weights.sum(axis=1, keepdims=True)
    return Schedule(weights=tuple(map(tuple, weights.tolist())), step_size=schedule.step_size)


def shares(schedule: Schedule) -> tuple[tuple[float, ...], ...]:
    """Weights that sum to 1."""
    return tuple(tuple(value / sum(row) for value in row) for row in schedule.weights)


def label(schedule: Schedule, draw: bool, step_size: bool = True) -> str:
    """Shares of the pairs at each knot, the last of which follows from the others, and steps.

    Args:
        schedule: to be named in a table.
        draw: whether the weights are probabilities.
        step_size: whether it says the step size.
    """
    parts = []
    if schedule.num_pairs > 1:
        knots = ["/".join(f"{share:.2f}" for share in row[:-1]) for row in shares(schedule)]
        parts.append(f"{'p' if draw else 'w'} = {' → '.join(knots)}")
    if step_size:
        parts.append(f"step = {' → '.join(f'{value:.2g}' for value in schedule.step_size)}")
    return ", ".join(parts)


def plain(schedule: Schedule) -> dict[str, Any]:
    """A schedule as JSON has it."""
    return {
        "weights": [list(row) for row in schedule.weights],
        "step_size": list(schedule.step_size),
    }


def check_cmaes(search: str, instead: str = "") -> None:
    """Refuse to search where the library is missing.

    Args:
        search: what needs it.
        instead: how one does without.

    Raises:
        ValueError: it is not installed.
    """
    if importlib.util.find_spec("cmaes") is None:
        raise ValueError(f"{search} needs cmaes: pip install 'autoloss_gym[agents]'{instead}")


class Evolution:
    """CMA-ES (Hansen 2016) within bounds, generation after generation.

    It looks at the ranks of a generation's costs alone. All that it asks for is a function of the
    arguments and of what it was told.

    Args:
        centre: of the first candidates, (size,), float64.
        deviations: of the first candidates in each entry, (size,).
        reach: the greatest distance from 0 in each entry, (size,).
        population: candidates of a generation.
        seed: of the candidates.
    """

    def __init__(
        self,
        centre: np.ndarray,
        deviations: np.ndarray,
        reach: np.ndarray,
        population: int,
        seed: int = 0,
    ) -> None:
        self.told: list[np.ndarray] = []
        self._size = len(centre)
        self._deviations = deviations
        self._centre = centre / deviations
        self._reach = reach / deviations
        self._population = population
        self._seed = seed
        self._points: list[np.ndarray] = []

    @functools.cached_property
    def _optimizer(self) -> "CMA":
        from cmaes import CMA

        # It is for two or more entries; a single one gets a second that changes nothing.
        size = max(2, self._size)
        reach = np.resize(self._reach, size)
        return CMA(
            mean=np.resize(self._centre, size),
            sigma=1.0,
            bounds=np.stack([-reach, reach], axis=1),
            seed=self._seed,
            population_size=self._population,
        )

    @property
    def centre(self) -> np.ndarray:
        """Where the candidates are now, (size,)."""
        return self._vector(self._optimizer.mean)

    def ask(self) -> np.ndarray:
        """The candidates of the next generation, (population, size)."""
        self._points = [self._optimizer.ask() for _ in range(self._population)]
        return np.stack([self._vector(point) for point in self._points])

    def tell(self, costs: np.ndarray) -> None:
        """The costs of the candidates that were asked for, (population,): low is good."""
        self._optimizer.tell(list(zip(self._points, costs.tolist(), strict=True)))
        self.told.append(costs)

    def repeat(self, told: np.ndarray) -> None:
        """Ask and tell again what another one of the same arguments was told, (generations, …)."""
        for costs in told:
            self.ask()
            self.tell(costs)

    def _vector(self, point: np.ndarray) -> np.ndarray:
        vector: np.ndarray = point[: self._size] * self._deviations
        return vector
