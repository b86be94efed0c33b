"""Tasks whose models translate."""

from abc import abstractmethod
from dataclasses import dataclass

from autoloss_gym.core.state import State
from autoloss_gym.core.task import Task


@dataclass(frozen=True)
class Translation:
    """A sentence, what it means, and what a model makes of it."""

    source: str
    reference: str
    translation: str


class TextTask(Task):
    """A task whose models translate sentences."""

    @abstractmethod
    def translations(self, state: State, count: int) -> list[list[Translation]]:
        """The first sentences of each run's validation part, as its model translates them."""
