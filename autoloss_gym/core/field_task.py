"""Tasks whose models are functions of space and time."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from autoloss_gym.core.state import State
from autoloss_gym.core.task import Task


@dataclass(frozen=True, eq=False)
class Field:
    """A function on a grid, in one dimension or two, and what a model takes it for.

    Args:
        names: of the dimensions, such as ("t", "x").
        low, high: ends of the grid, by dimension.
        exact: the function, one axis a dimension.
        found: the model, at the same points.
    """

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    exact: Float[np.ndarray, "..."]
    found: Float[np.ndarray, "..."]


class FieldTask(Task):
    """A task whose models are functions of space and time."""

    @abstractmethod
    def fields(self, state: State) -> list[Field]:
        """The function that each run looks for, and its model."""
