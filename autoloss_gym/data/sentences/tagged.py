"""Files of words with tags, in the forms in which they are published."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autoloss_gym.data.sentences.lines import at_line, read_lines

Columns = tuple[int, int]  # of the word and of the tag, counted from 1
_MARK = "##"  # between a word and its tag
_UNTAGGED = "_"
_NUM_CONLLU = 10  # columns of CoNLL-U
# Contractions, whose parts follow, and words that are not there, as CoNLL-U numbers them.
_NO_WORD = re.compile(r"\d+[-.]\d+")
_FORMS = (
    "a word and its tag, lines of word##TAG, or CoNLL-U; for other columns say which hold words "
    "and tags, such as columns: [2, 3]"
)


@dataclass
class TaggedSentences:
    """Sentences of a file.

    Args:
        words, tags: of each sentence, equally many.
        lines: where each tag stands first.
        num_untagged: how many words were left out because their tag is `_`.
        num_empty: how many lines that are a sentence each are empty.
    """

    words: list[list[str]] = field(default_factory=list)
    tags: list[list[str]] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)
    num_untagged: int = 0
    num_empty: int = 0

    def add(self, sentence: Iterable[tuple[int, str, str]]) -> None:
        """Add a sentence of line numbers, words and tags, if it has any."""
        words = []
        tags = []
        for number, word, tag in sentence:
            if tag == _UNTAGGED:
                self.num_untagged += 1
                continue
            words.append(word)
            tags.append(tag)
            self.lines.setdefault(tag, number)
        if words:
            self.words.append(words)
            self.tags.append(tags)


def read_tagged(path: Path, columns: Columns | None = None) -> TaggedSentences:
    """Read a file of tagged words.

    Args:
        path: a file, plain or packed with gzip, in one of these forms: a word and its tag a line,
            divided by a tab or blanks, and an empty line after each sentence; `word##TAG` with
            blanks between them, a sentence a line; CoNLL-U, of which column 4 is taken.
        columns: of the word and of the tag, for files with other columns.

    Raises:
        ValueError: one line that names the file and the line that cannot be used.
    """
    lines = read_lines(path)
    number, first = _first(path, lines)
    if columns is None and all(_MARK in piece for piece in first.split()):
        return _read_marked(path, lines)
    separator = "\t" if "\t" in first else None
    num_fields = len(first.split(separator))
    if columns is None:
        columns = _usual_columns(path, number, num_fields)
    if num_fields < max(columns):
        raise at_line(
            path, number, f"it has {num_fields} columns, expected words and tags in {columns}"
        )
    return _read_columns(path, lines, columns, separator, num_fields)


def _first(path: Path, lines: Sequence[str]) -> tuple[int, str]:
    """Number and text of the first line that is neither empty nor a comment."""
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.startswith("#"):
            return number, line
    raise ValueError(f"{str(path)!r} has no tagged words; expected {_FORMS}")


def _usual_columns(path: Path, number: int, num_fields: int) -> Columns:
    if num_fields == 2:
        return 1, 2
    if num_fields == _NUM_CONLLU:
        return 2, 4
    problem = "a word without a tag" if num_fields == 1 else f"{num_fields} columns"
    raise at_line(path, number, f"{problem}; expected {_FORMS}")


def _read_marked(path: Path, lines: Sequence[str]) -> TaggedSentences:
    found = TaggedSentences()
    for number, line in enumerate(lines, start=1):
        found.num_empty += not line.strip()
        sentence = []
        for piece in line.split():
            word, mark, tag = piece.rpartition(_MARK)
            if not (word and mark and tag):
                raise at_line(path, number, f"{piece[:40]!r} has no tag; expected word{_MARK}TAG")
            sentence.append((number, word, tag))
        found.add(sentence)
    return found


def _read_columns(
    path: Path, lines: Sequence[str], columns: Columns, separator: str | None, num_fields: int
) -> TaggedSentences:
    found = TaggedSentences()
    word_column, tag_column = columns
    has_numbers = word_column > 1
    sentence: list[tuple[int, str, str]] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            found.add(sentence)
            sentence = []
            continue
        fields = [each.strip() for each in line.split(separator)]
        # Where words come first, a line with "#" may be a word with its tag.
        if line.startswith("#") and (has_numbers or len(fields) != num_fields):
            continue
        if has_numbers and _NO_WORD.fullmatch(fields[0]):
            continue
        if len(fields) < max(columns) or not fields[tag_column - 1]:
            raise at_line(path, number, f"{line[:40]!r} has no tag in column {tag_column}")
        if not fields[word_column - 1]:
            raise at_line(path, number, f"{line[:40]!r} has no word in column {word_column}")
        if len(fields) != num_fields:
            raise at_line(
                path, number, f"{line[:40]!r} has {len(fields)} columns, expected {num_fields}"
            )
        sentence.append((number, fields[word_column - 1], fields[tag_column - 1]))
    found.add(sentence)
    return found
