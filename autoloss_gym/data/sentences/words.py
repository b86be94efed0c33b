"""From text to words: division, digits and the case of the first word."""

import functools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

# Numbers with their marks, words with inner hyphens and apostrophes, any other character alone.
_TOKEN = re.compile(r"\d+(?:[.,:]\d+)*|\w+(?:[-'’]\w+)*|\S")
_DIGIT = re.compile(r"\d")
WORD_START = "▁"  # stands before the first subword of each word


def tokenize(text: str) -> list[str]:
    """Divide a line into words, numbers and marks."""
    return _TOKEN.findall(text)


def plain(words: Iterable[str]) -> list[str]:
    """The words as they are encoded: all digits are 0; blanks in them are dropped."""
    return [_plain(word) for word in words]


def learn_casing(sentences: Iterable[Sequence[str]]) -> dict[str, str]:
    """The most frequent casing of each word, by the word in lower case.

    The first word of a sentence does not count, since its case may come from its place. Of two
    casings that are equally frequent, it is that with more small letters at its beginning.
    """
    counts: Counter[str] = Counter()
    for words in sentences:
        counts.update(words[_first_word(words) + 1 :])
    # In Unicode small letters come after capitals, so that they win a tie.
    ordered = sorted(counts, key=lambda word: (counts[word], word))
    return {word.lower(): word for word in ordered}


def truecased(words: Sequence[str], casing: Mapping[str, str]) -> list[str]:
    """The sentence with its first word in the casing that it has elsewhere, if that is known."""
    changed = list(words)
    index = _first_word(words)
    if index < len(changed):
        word = changed[index]
        changed[index] = casing.get(word.lower(), word)
    return changed


@functools.lru_cache(maxsize=2**18)  # a corpus has far fewer words than tokens
def _plain(word: str) -> str:
    whole = "".join(word.split()).replace(WORD_START, "_")
    return _DIGIT.sub("0", whole)


def _first_word(words: Sequence[str]) -> int:
    """Index of the first word with a letter: before it may stand marks and numbers."""
    for index, word in enumerate(words):
        if any(map(str.isalpha, word)):
            return index
    return len(words)
