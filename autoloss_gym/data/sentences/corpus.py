"""Sentences with translations or tags as numbers, in three parts for each task."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32

from autoloss_gym.data.digests import digest_of
from autoloss_gym.data.sentences.encoding import Vocabularies

Rows = Int32[np.ndarray, "_ _"]  # (sentences, source_length + target_length)
PARTS = ("training", "validation", "test")


@dataclass(frozen=True, eq=False)
class Corpus:
    """Encoded sentences of all tasks.

    A row holds the ids of the source's subwords, padded with 0 to `source_length`, then those of
    the target, padded with 0 to `target_length`. The target of a translation ends with the id
    `END`; that of a tagging task has one tag for each word of the source and no end.

    Args:
        vocabularies: the words and tags by id.
        source_length, target_length: the padded lengths, common to all tasks.
        training, validation, test: for each of `TASKS`, int32 (sentences, source_length +
            target_length).
        digest: of all arrays and vocabularies, in hexadecimal.
        remarks: what was read and what was left out, a line for each part of each task.
    """

    vocabularies: Vocabularies
    source_length: int
    target_length: int
    training: tuple[Rows, ...]
    validation: tuple[Rows, ...]
    test: tuple[Rows, ...]
    digest: str
    remarks: tuple[str, ...]

    @classmethod
    def of(
        cls,
        vocabularies: Vocabularies,
        source_length: int,
        parts: Iterable[tuple[Rows, ...]],
        remarks: tuple[str, ...],
    ) -> "Corpus":
        """A corpus with its digest.

        Args:
            vocabularies, source_length, remarks: see the class.
            parts: the arrays of the training, the validation and the test part.
        """
        training, validation, test = parts
        found = hashlib.sha256(repr((vocabularies, source_length)).encode())
        for array in (*training, *validation, *test):
            found.update(digest_of(array).encode())
        target_length = training[0].shape[1] - source_length
        return cls(
            vocabularies=vocabularies,
            source_length=source_length,
            target_length=target_length,
            training=training,
            validation=validation,
            test=test,
            digest=found.hexdigest(),
            remarks=remarks,
        )

    @property
    def parts(self) -> tuple[tuple[Rows, ...], ...]:
        """The arrays by part, in the order of `PARTS`, and by task, in that of `TASKS`."""
        return self.training, self.validation, self.test
