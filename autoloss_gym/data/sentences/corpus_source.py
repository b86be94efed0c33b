"""Sentences of text files, which all runs share; every run trains on a sample of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from autoloss_gym.core.state import Keys
from autoloss_gym.data.partition import five_way_partition, resampled_rows
from autoloss_gym.data.sentences.corpus import Corpus
from autoloss_gym.data.sentences.encoding import TASKS, Vocabularies
from autoloss_gym.data.sentences.source import Sentences, SentenceSource
from autoloss_gym.data.sentences.subwords import join_subwords
from autoloss_gym.data.sentences.text_source import TextSource
from autoloss_gym.tools.compiling import graph_constant


@dataclass(frozen=True)
class CorpusSource(SentenceSource):
    """Corpora, partitioned once (see `autoloss_gym.data.partition`), and resampled by each run.

    Args:
        text: the files.
        num_sentences: of each task, those that a run trains on; 0 for four fifths of the training
            part.
        num_held_out, num_test: sentences of the validation and of the test part, at most.
    """

    text: TextSource
    num_sentences: tuple[int, ...]
    num_held_out: int
    num_test: int

    @property
    def corpus(self) -> Corpus:
        """The sentences as arrays."""
        return self.text.load()

    @property
    def vocabularies(self) -> Vocabularies:
        return self.corpus.vocabularies

    @property
    @graph_constant()
    def source_length(self) -> int:
        return self.corpus.source_length

    @property
    @graph_constant()
    def target_length(self) -> int:
        return self.corpus.target_length

    @property
    @graph_constant()
    def lengths(self) -> tuple[tuple[int, int], ...]:
        found = []
        for table in self._tables():
            sides = np.split(table != 0, [self.source_length], axis=1)
            source, target = (int(side.sum(axis=1).max()) for side in sides)
            found.append((source, target))
        return tuple(found)

    @property
    @graph_constant()
    def counts(self) -> tuple[int, ...]:
        """Training sentences of each task.

        Raises:
            ValueError: the training part of a task has fewer sentences than asked for.
        """
        counts = []
        for index, wanted in enumerate(self.num_sentences):
            most = min(
                len(self._parts(index, "cpu")[name]) for name in ("controller_train", "train")
            )
            if wanted > most:
                raise ValueError(
                    f"num_sentences={list(self.num_sentences)}: the training part of "
                    f"{TASKS[index]} has {most} sentences; expected at most as many"
                )
            counts.append(wanted or most * 4 // 5)
        return tuple(counts)

    @property
    def digest(self) -> str:
        return self.corpus.digest

    @property
    def remarks(self) -> tuple[str, ...]:
        return self.corpus.remarks

    def draw(self, keys: Keys) -> dict[str, Any]:
        device = str(keys.problem.device)
        training = []
        held_out: dict[str, list[Tensor]] = {"validation": [], "test": []}
        for index, count in enumerate(self.counts):
            rows = resampled_rows(self._parts(index, device), keys.problem, keys.split, count)
            training.append(rows["training"])
            held_out["validation"].append(rows["validation"][:, : self.num_held_out])
            held_out["test"].append(rows["test"][:, : self.num_test])
        return {"training": torch.cat(training, dim=1), **held_out}

    def training(self, data: Any, index: Int64[Tensor, "num_envs rows"]) -> Sentences:
        return self._gathered(data["training"].gather(1, index))

    def held_out(self, data: Any, part: str) -> tuple[Tensor, ...]:
        return tuple(self._gathered(rows) for rows in data[part])

    def join(self, words: Sequence[str]) -> str:
        return join_subwords(words)

    def _gathered(self, rows: Int64[Tensor, "num_envs rows"]) -> Sentences:
        table = self._table(str(rows.device))
        return table.index_select(0, rows.flatten()).view(*rows.shape, -1)

    @graph_constant()
    def _table(self, device: str) -> Tensor:
        """All sentences of all tasks on a device: those of a task are its training, validation and
        test sentences.
        """
        return torch.from_numpy(np.concatenate(self._tables())).to(device)

    def _tables(self) -> list[np.ndarray]:
        corpus = self.corpus
        parts = zip(corpus.training, corpus.validation, corpus.test, strict=True)
        return [np.concatenate(each) for each in parts]

    @graph_constant()
    def _parts(self, index: int, device: str) -> dict[str, Int64[Tensor, " rows"]]:
        """The partition of one task as rows of the table; its test part is that of the files."""
        lengths = [len(table) for table in self._tables()]
        parts = five_way_partition(lengths[index], len(self.corpus.test[index]))
        first = sum(lengths[:index])
        return {name: torch.from_numpy(rows + first).to(device) for name, rows in parts.items()}
