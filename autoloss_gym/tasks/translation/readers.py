"""The networks of multi-task translation, and what they make of sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.task import Metric
from autoloss_gym.core.text_task import Translation
from autoloss_gym.data.sentences.encoding import TASKS
from autoloss_gym.data.sentences.source import Sentences, SentenceSource
from autoloss_gym.losses.sequences import mean_cross_entropy
from autoloss_gym.tasks.translation import figures
from autoloss_gym.tasks.translation.encoder_decoder import EncoderDecoder
from autoloss_gym.tools.tree import Parameters

ENCODER = "encoder"
# The block of each task's decoder.
DECODERS = dict(zip(TASKS, ("translator", "entity_tagger", "word_tagger"), strict=True))


@dataclass(frozen=True)
class Readers:
    """An encoder with a decoder for each task.

    Args:
        model: the networks.
        source: of the sentences.
    """

    model: EncoderDecoder
    source: SentenceSource

    def initial_parameters(self, keys: Int64[Tensor, " num_envs"]) -> dict[str, Any]:
        """Blocks of all networks, drawn with the key of each run."""
        vocabularies = self.source.vocabularies
        stream = random.fold_in(keys, ENCODER)
        blocks = {ENCODER: self.model.initial_encoder(stream, len(vocabularies.source))}
        for decoder, words in zip(DECODERS.values(), vocabularies.targets, strict=True):
            stream = random.fold_in(keys, decoder)
            blocks[decoder] = self.model.initial_decoder(stream, len(words))
        return blocks

    def cross_entropy(
        self,
        parameters: Parameters,
        task: str,
        sentences: Sentences,
        dropout_keys: Int64[Tensor, " num_envs"] | None = None,
    ) -> Float[Tensor, " num_envs"]:
        """Mean over the words of the targets, given those before them, in nats.

        Args:
            parameters: of all blocks.
            task: one of `TASKS`.
            sentences: sources and targets.
            dropout_keys: of this update; None drops nothing.
        """
        source, target = self._split(task, sentences)
        encoded = self.model.encode(parameters[ENCODER], source, dropout_keys)
        decoder = parameters[DECODERS[task]]
        logits = self.model.decode(decoder, encoded, target, dropout_keys)
        return mean_cross_entropy(logits, target)

    def perplexities(
        self, parameters: Parameters, parts: Sequence[Tensor], metrics: Sequence[Metric]
    ) -> Float[Tensor, "num_envs tasks"]:
        """exp of the mean cross-entropy of the sentences of each task, at most the worst."""
        columns = []
        for task, sentences, metric in zip(TASKS, parts, metrics, strict=True):
            loss = self.cross_entropy(parameters, task, sentences)
            columns.append(torch.exp(loss.contiguous()).clamp(max=metric.worst))
        return torch.stack(columns, dim=1)

    def decoded_figures(
        self, parameters: Parameters, parts: Sequence[Tensor], is_text: bool
    ) -> Float[Tensor, "num_envs figures"]:
        """What `figures.decoded_metrics` names, of greedy decoding."""
        decoded = []
        for task, sentences in zip(TASKS, parts, strict=True):
            source, target = self._split(task, sentences)
            decoded.append((target, self.decoded(parameters, task, source)))
        return figures.of_decoded(decoded, self.source, is_text)

    def decoded(
        self, parameters: Parameters, task: str, source: Int64[Tensor, "num_envs rows words"]
    ) -> Int64[Tensor, "num_envs rows length"]:
        """Greedy targets of a task, with as many words as targets may have."""
        encoded = self.model.encode(parameters[ENCODER], source)
        decoder = parameters[DECODERS[task]]
        length = self.source.lengths[TASKS.index(task)][1]
        return self.model.greedy(decoder, encoded, length)

    def translations(self, parameters: Parameters, sentences: Sentences) -> list[list[Translation]]:
        """Greedy translations of each run's sentences, in words."""
        source, target = self._split(TASKS[0], sentences)
        with torch.no_grad():
            found = self.decoded(parameters, TASKS[0], source)
        return figures.in_words(source, target, found, self.source)

    def _split(self, task: str, sentences: Sentences) -> tuple[Tensor, Tensor]:
        """Sources and targets of a task, int64, without what is padding in all its sentences."""
        source_length, target_length = self.source.lengths[TASKS.index(task)]
        first = self.source.source_length
        source = sentences[..., :source_length]
        target = sentences[..., first : first + target_length]
        return source.to(torch.int64), target.to(torch.int64)
