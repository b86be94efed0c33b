"""Encoded text in the cache folder; reading it runs no code."""

import hashlib
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autoloss_gym.data.sentences.corpus import PARTS, Corpus
from autoloss_gym.data.sentences.encoding import TASKS, Vocabularies
from autoloss_gym.tools.cache import CACHE_VARIABLE, cache_folder
from autoloss_gym.tools.forms import Array, Text
from autoloss_gym.tools.stored import read_arrays, read_value, write_arrays

# A change of the code that encodes needs a new one, or old files would be taken for new ones.
_VERSION = 1
_SHAPES = "shapes"


def cache_path(paths: Sequence[Path], settings: object) -> Path:
    """The file that holds a corpus, named after its settings and the content of its files.

    Raises:
        ValueError: a file cannot be read.
    """
    found = hashlib.blake2b(repr((_VERSION, settings)).encode(), digest_size=16)
    for path in paths:
        try:
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").digest()
        except OSError as error:
            raise ValueError(f"{str(path)!r} cannot be read: {error.strerror}") from None
        found.update(repr((path.name, content)).encode())
    return cache_folder() / f"text_{found.hexdigest()}.safetensors"


def read_corpus(path: Path) -> Corpus | None:
    """The corpus that `write_corpus` stored; None where there is no file that can be used."""
    try:
        shapes = json.loads(read_value(path, _SHAPES, Text()))
        form = {
            _SHAPES: Text(),
            "remarks": Text(),
            "words": [Array("uint8", (length,)) for length in shapes["words"]],
        }
        for part in PARTS:
            arrays = [Array("int32", tuple(shape), least=0) for shape in shapes[part]]
            form[part] = arrays
        found = read_arrays(path, form)
        source, *targets = [_words(array) for array in found["words"]]
        corpus = Corpus.of(
            Vocabularies(source=source, targets=tuple(targets)),
            int(shapes["source_length"]),
            [tuple(found[part]) for part in PARTS],
            tuple(found["remarks"].splitlines()),
        )
        return corpus if _fits(corpus) else None
    except (OSError, ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError):
        return None


def write_corpus(path: Path, corpus: Corpus) -> None:
    """Write a file whole or not at all; where the folder cannot be written, a warning says so."""
    vocabularies = (corpus.vocabularies.source, *corpus.vocabularies.targets)
    words = [np.frombuffer("\n".join(each).encode(), np.uint8) for each in vocabularies]
    shapes: dict[str, Any] = {
        "source_length": corpus.source_length,
        "words": [len(array) for array in words],
    }
    tree: dict[str, Any] = {"words": words, "remarks": "\n".join(corpus.remarks)}
    for part, arrays in zip(PARTS, corpus.parts, strict=True):
        shapes[part] = [array.shape for array in arrays]
        tree[part] = list(arrays)
    tree[_SHAPES] = json.dumps(shapes)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(path, tree)
    except OSError as error:
        warnings.warn(
            f"the encoded text is not kept: {error}; "
            f"set {CACHE_VARIABLE} to a folder that can be written",
            stacklevel=2,
        )


def _words(array: np.ndarray) -> tuple[str, ...]:
    return tuple(array.tobytes().decode().split("\n"))


def _fits(corpus: Corpus) -> bool:
    """Whether all arrays have one width and ids of the vocabularies."""
    length = corpus.source_length
    targets = corpus.vocabularies.targets
    if len(targets) != len(TASKS) or length < 1 or corpus.target_length < 1:
        return False
    for arrays in corpus.parts:
        if len(arrays) != len(TASKS):
            return False
        for array, words in zip(arrays, targets, strict=True):
            if array.ndim != 2 or array.shape[1] != length + corpus.target_length or not array.size:
                return False
            if array[:, :length].max() >= len(corpus.vocabularies.source):
                return False
            if array[:, length:].max() >= len(words):
                return False
    return True
