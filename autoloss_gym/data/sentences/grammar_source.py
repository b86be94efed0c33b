"""Sentences of a grammar, which every problem draws anew."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Int64
from torch import Tensor

from autoloss_gym.core.state import Keys
from autoloss_gym.data.sentences.encoding import Vocabularies
from autoloss_gym.data.sentences.grammar import GrammarProblems
from autoloss_gym.data.sentences.source import Sentences, SentenceSource


@dataclass(frozen=True)
class GrammarSource(SentenceSource):
    """Problems of a grammar, each with a lexicon and sentences of its own.

    Args:
        problems: what they are like.
    """

    problems: GrammarProblems

    @property
    def vocabularies(self) -> Vocabularies:
        return self.problems.vocabularies

    @property
    def source_length(self) -> int:
        return self.problems.source_length

    @property
    def target_length(self) -> int:
        return self.problems.target_length

    @property
    def counts(self) -> tuple[int, ...]:
        return self.problems.num_sentences

    def draw(self, keys: Keys) -> dict[str, Tensor]:
        return self.problems.draw(keys.problem)

    def training(self, data: Any, index: Int64[Tensor, "num_envs rows"]) -> Sentences:
        sentences = data["training"]
        return sentences.gather(1, index[:, :, None].expand(-1, -1, sentences.shape[2]))

    def held_out(self, data: Any, part: str) -> tuple[Tensor, ...]:
        return data[part].unbind(dim=1)

    def join(self, words: Sequence[str]) -> str:
        return " ".join(words)
