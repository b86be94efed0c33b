"""Subwords by byte-pair encoding (Sennrich et al. 2016), learnt with the library `tokenizers`."""

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from autoloss_gym.data.sentences.encoding import END, PADDING, SPECIAL, START, UNKNOWN
from autoloss_gym.data.sentences.words import WORD_START

_PARALLELISM = "TOKENIZERS_PARALLELISM"


class Subwords:
    """The subwords of a language.

    Args:
        model: a BPE model of `tokenizers`.
        words: the subwords by id.
    """

    def __init__(self, model: Any, words: tuple[str, ...]) -> None:
        self._model = model
        self._known: dict[str, list[int]] = {}  # most words occur often
        self.words = words

    def encode(self, sentence: Iterable[str]) -> list[int]:
        """The ids of the subwords of a sentence's words; characters never seen are `UNKNOWN`."""
        ids: list[int] = []
        for word in sentence:
            if word not in self._known:
                tokens = self._model.tokenize(WORD_START + word)
                self._known[word] = [token.id for token in tokens]
            ids.extend(self._known[word])
        return ids


def learn_subwords(sentences: Sequence[Sequence[str]], size: int) -> Subwords:
    """Learn at most `size` subwords, the four special ones included.

    Two trainings give equal ids. The library's `end_of_word_suffix` and `limit_alphabet` would
    not: they depend on the order of a hash table.

    Args:
        sentences: words, without blanks in them.
        size: how many; at most half are single characters, the most frequent ones.

    Raises:
        ValueError: `tokenizers` is not installed.
    """
    try:
        import tokenizers  # noqa: PLC0415 (an extra)
    except ImportError:
        raise ValueError(
            "reading text needs the library 'tokenizers': pip install \"autoloss_gym[text]\""
        ) from None
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token=SPECIAL[UNKNOWN]))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(SPECIAL), show_progress=False
    )
    with _one_thread():
        tokenizer.train_from_iterator(_texts(sentences, size // 2), trainer)
    ids = tokenizer.get_vocab()
    return Subwords(tokenizer.model, tuple(sorted(ids, key=ids.__getitem__)))


def join_subwords(words: Iterable[str]) -> str:
    """The text of subwords, with a blank between words.

    Args:
        words: subwords, up to "</s>" if that is among them; padding and "<s>" do not count.
    """
    kept = []
    for word in words:
        if word == SPECIAL[END]:
            break
        if word not in (SPECIAL[PADDING], SPECIAL[START]):
            kept.append(word)
    return "".join(kept).replace(WORD_START, " ").strip()


def _texts(sentences: Sequence[Sequence[str]], num_characters: int) -> Iterator[str]:
    """Sentences as lines, without the words that shall teach nothing.

    These are words with rare characters, and those that hold a special word: it would be merged
    to that word's id.
    """
    counts = Counter(word for sentence in sentences for word in sentence)
    characters: Counter[str] = Counter()
    for word, count in counts.items():
        for character in WORD_START + word:
            characters[character] += count
    ordered = sorted(characters, key=lambda character: (-characters[character], character))
    alphabet = set(ordered[:num_characters])
    taught = {
        word
        for word in counts
        if alphabet.issuperset(word) and not any(special in word for special in SPECIAL)
    }
    for sentence in sentences:
        yield " ".join(WORD_START + word for word in sentence if word in taught)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Without threads of `tokenizers`: some versions warn when such a process is forked later."""
    before = os.environ.get(_PARALLELISM)
    os.environ[_PARALLELISM] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_PARALLELISM]
        else:
            os.environ[_PARALLELISM] = before
