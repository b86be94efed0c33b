"""From words to numbers: what is learnt from the training parts, and how sentences are encoded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from autoloss_gym.data.sentences.corpus import PARTS, Corpus, Rows
from autoloss_gym.data.sentences.encoding import (
    END,
    FIRST,
    PADDING,
    SPECIAL,
    TASKS,
    UNKNOWN,
    Vocabularies,
)
from autoloss_gym.data.sentences.files import TaskFiles
from autoloss_gym.data.sentences.reading import Part, Sentences, read_task
from autoloss_gym.data.sentences.subwords import Subwords, learn_subwords
from autoloss_gym.data.sentences.words import learn_casing, truecased

Parts = tuple[Part, ...]  # training, validation, test
Encoded = list[tuple[list[int], list[int]]]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How text is encoded.

    Args:
        source_words, target_words: sizes of the two vocabularies of subwords, at most.
        translation_length: the most subwords of a source and of its translation.
        tag_length: the most subwords of a tagged sentence.
        truecase: whether first words get the casing that they have elsewhere.
    """

    source_words: int
    target_words: int
    translation_length: int
    tag_length: int
    truecase: bool


def build(files: tuple[TaskFiles, ...], settings: Settings) -> Corpus:
    """Read and encode the files of all tasks.

    The subwords and the casing of the source are learnt on the training parts of all tasks
    together, those of the target on the training part of the translation.

    Raises:
        ValueError: one line: a file cannot be used, or no sentence is short enough.
    """
    tasks: list[Parts] = [read_task(each) for each in files]
    if settings.truecase:
        tasks = _truecased(tasks)
    all_sources = [sentence for parts in tasks for sentence in parts[0].sources]
    source = learn_subwords(all_sources, settings.source_words)
    target = learn_subwords(tasks[0][0].targets, settings.target_words)
    tags = [SPECIAL + tuple(sorted(parts[0].tags)) for parts in tasks[1:]]
    encoders = [_translations(target), *map(_tags, tags)]
    longest = (settings.translation_length, settings.tag_length, settings.tag_length)

    encoded: list[list[Encoded]] = []
    remarks: list[str] = []
    for index, parts in enumerate(tasks):
        encoded.append([])
        for part in parts:
            rows, line = _encoded(part, source, encoders[index], longest[index])
            encoded[-1].append(rows)
            remarks.append(f"{TASKS[index]}: {line}")

    vocabularies = Vocabularies(source=source.words, targets=(target.words, *tags))
    every = [pair for parts in encoded for rows in parts for pair in rows]
    source_length = max(len(ids) for ids, _ in every)
    target_length = max(len(ids) for _, ids in every)
    by_part = [
        tuple(_padded(rows[index], source_length, target_length) for rows in encoded)
        for index in range(len(PARTS))
    ]
    return Corpus.of(vocabularies, source_length, by_part, tuple(remarks))


def _truecased(tasks: Sequence[Parts]) -> list[Parts]:
    """First words in the casing that they have elsewhere in the training parts."""
    casing = learn_casing(words for parts in tasks for words in parts[0].sources)
    target_casing = learn_casing(tasks[0][0].targets)
    changed: list[Parts] = []
    for index, parts in enumerate(tasks):
        new = [replace(part, sources=_cased(part.sources, casing)) for part in parts]
        if index == 0:
            new = [replace(part, targets=_cased(part.targets, target_casing)) for part in new]
        changed.append(tuple(new))
    return changed


def _cased(sentences: Sentences, casing: Mapping[str, str]) -> Sentences:
    return [truecased(words, casing) for words in sentences]


def _translations(subwords: Subwords) -> Callable[[list[str]], list[int]]:
    return lambda words: [*subwords.encode(words), END]


def _tags(vocabulary: tuple[str, ...]) -> Callable[[list[str]], list[int]]:
    ids = {tag: FIRST + index for index, tag in enumerate(vocabulary[FIRST:])}
    return lambda tags: [ids[tag] for tag in tags]


def _encoded(
    part: Part, source: Subwords, encode: Callable[[list[str]], list[int]], longest: int
) -> tuple[Encoded, str]:
    """The sentences of a part that are short enough, and a line about the others."""
    kept: Encoded = []
    for words, targets in zip(part.sources, part.targets, strict=True):
        source_ids = source.encode(words)
        target_ids = encode(targets)
        length = len(target_ids) - (target_ids[-1] == END)
        if max(len(source_ids), length) <= longest:
            kept.append((source_ids, target_ids))
    num_long = len(part.sources) - len(kept)
    if not kept:
        raise ValueError(
            f"{part.label}: none of {num_long:,} sentences has at most {longest} subwords; "
            "allow longer ones, or more words in the vocabularies"
        )
    left_out = [*part.remarks]
    if num_long:
        left_out.append(f"{num_long:,} sentences of more than {longest} subwords")
    line = f"{part.label}: {len(kept):,} sentences"
    if left_out:
        line += f"; left out {', '.join(left_out)}"
    ids = [token for pair in kept for each in pair for token in each]
    num_unknown = ids.count(UNKNOWN)
    if num_unknown:
        line += f"; unknown subwords: {num_unknown:,} ({num_unknown / len(ids):.2%})"
    return kept, f"{line}."


def _padded(rows: Encoded, source_length: int, target_length: int) -> Rows:
    array = np.full((len(rows), source_length + target_length), PADDING, dtype=np.int32)
    for index, (source, target) in enumerate(rows):
        array[index, : len(source)] = source
        array[index, source_length : source_length + len(target)] = target
    return array
