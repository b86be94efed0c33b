"""From text to words: division, digits and the case of the first word."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

# Numbers with their marks, words with inner hyphens and apostrophes, any other character alone.
_TOKEN = re.compile(r"\d+(?:[.,:]\d+)*|\w+(?:[-'’]\w+)*|\S")
_DIGIT = re.compile(r"\d")
WORD_START = "▁"  # stands before the first subword of each word


def tokenize(text: str) -> list[str]:
    """Divide a line into words, numbers and marks."""
    return _TOKEN.findall(text)


def without_digits(word: str) -> str:
    """The word as it is encoded: all digits are 0; blanks in it are dropped."""
    plain = "".join(word.split()).replace(WORD_START, "_")
    return _DIGIT.sub("0", plain)


def learn_casing(sentences: Iterable[Sequence[str]]) -> dict[str, str]:
    """The most frequent casing of each word, by the word in lower case.

    The first word of a sentence does not count, since its case may come from its place. Of two
    casings that are equally frequent, it is that with more small letters at its beginning.
    """
    counts: dict[str, Counter[str]] = {}
    for words in sentences:
        for word in words[_first_word(words) + 1 :]:
            counts.setdefault(word.lower(), Counter())[word] += 1
    return {lowered: max(casings, key=_rank(casings)) for lowered, casings in counts.items()}


def truecased(words: Sequence[str], casing: Mapping[str, str]) -> list[str]:
    """The sentence with its first word in the casing that it has elsewhere, if that is known."""
    changed = list(words)
    index = _first_word(words)
    if index < len(changed):
        word = changed[index]
        changed[index] = casing.get(word.lower(), word)
    return changed


def _rank(casings: Counter[str]) -> Callable[[str], tuple[int, str]]:
    # In Unicode small letters come after capitals.
    return lambda word: (casings[word], word)


def _first_word(words: Sequence[str]) -> int:
    """Index of the first word with a letter: before it may stand marks and numbers."""
    for index, word in enumerate(words):
        if any(map(str.isalpha, word)):
            return index
    return len(words)
