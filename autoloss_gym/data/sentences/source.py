"""The sentences of a multi-task translation as training runs use them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from jaxtyping import Int, Int64
from torch import Tensor

from autoloss_gym.core.state import Keys
from autoloss_gym.data.sentences.encoding import TASKS, Vocabularies

# Rows are sentences of source_length + target_length numbers: the ids of the source, then those of
# the target, each padded with 0.
Sentences = Int[Tensor, "num_envs *rows width"]


class SentenceSource(ABC):
    """Where the sentences come from; the tasks are those of `encoding.TASKS`, in that order."""

    @property
    @abstractmethod
    def vocabularies(self) -> Vocabularies:
        """Words of the source, and words and tags of the targets."""

    @property
    @abstractmethod
    def source_length(self) -> int:
        """The most words of a source."""

    @property
    @abstractmethod
    def target_length(self) -> int:
        """The most words of a target."""

    @property
    def lengths(self) -> tuple[tuple[int, int], ...]:
        """The most words of sources and targets of each task; the rest of their rows is padding."""
        return ((self.source_length, self.target_length),) * len(TASKS)

    @property
    @abstractmethod
    def counts(self) -> tuple[int, ...]:
        """Training sentences of each task."""

    @abstractmethod
    def draw(self, keys: Keys) -> Any:
        """The sentences of each run, a tree of tensors (num_envs, …), drawn from `keys.problem`."""

    @abstractmethod
    def training(self, data: Any, index: Int64[Tensor, "num_envs rows"]) -> Sentences:
        """Training sentences by their numbers, those of one task after those of another.

        Args:
            data: what `draw` gave.
            index: from 0 to the sum of `counts`.
        """

    @abstractmethod
    def held_out(self, data: Any, part: str) -> tuple[Tensor, ...]:
        """For each task, the sentences of the "validation" or of the "test" part."""

    @abstractmethod
    def join(self, words: Sequence[str]) -> str:
        """Words of a vocabulary as one writes a sentence."""

    @property
    def digest(self) -> str:
        """SHA-256 of sentences that all runs share; "" where each problem has its own."""
        return ""

    @property
    def remarks(self) -> tuple[str, ...]:
        """Lines that belong under a table of results."""
        return ()
