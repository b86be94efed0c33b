"""Sets of sentences as tasks ask for them: by name or file, encoded once and kept."""

import functools
import logging
import os
from dataclasses import dataclass, field

from autoloss_gym.data.files import Stamp, data_path, stamp
from autoloss_gym.data.named_images import DATA_VARIABLE
from autoloss_gym.data.sentences.building import Settings, build
from autoloss_gym.data.sentences.corpus import Corpus
from autoloss_gym.data.sentences.files import MULTI30K, TaskFiles, find_files, paths_of
from autoloss_gym.data.sentences.storage import cache_path, read_corpus, write_corpus
from autoloss_gym.tools.fields import converted
from autoloss_gym.tools.names import shown

_LEAST_WORDS = 32
_MOST_WORDS = 2**20
_MOST_LENGTH = 1000


@dataclass(frozen=True)
class TextSource:
    """Sentences with translations, entities and parts of speech.

    Args:
        dataset: "multi30k", whose files lie in the folders multi30k, germeval14 and ud_german_gsd
            of the data folder; or the path of a YAML or JSON file that names a user's files.
        data_dir: the data folder; by default the one that the environment variable
            AUTOLOSS_GYM_DATA names. It is read when the source is made, and so are the times and
            sizes of the files: equal sources stand for equal text.
        source_words, target_words: how many subwords there are at most, special ones included.
        translation_length: the most subwords of a sentence and of its translation, beside the end
            of the latter; longer ones are left out.
        tag_length: the most subwords of a sentence with tags.
        truecase: whether the first word of a sentence gets the casing that it has elsewhere.

    Raises:
        ValueError: a file is missing, or an argument cannot be used.
    """

    dataset: str
    data_dir: str | None = None
    source_words: int = 2000
    target_words: int = 1000
    translation_length: int = 25
    tag_length: int = 30
    truecase: bool = True
    written: Stamp = field(init=False, repr=False)

    def __post_init__(self) -> None:
        dataset = converted("dataset", self.dataset, str)
        folder = None
        if dataset == MULTI30K:
            folder = self.data_dir or os.environ.get(DATA_VARIABLE) or None
        for name in ("source_words", "target_words"):
            _check_whole(name, getattr(self, name), _LEAST_WORDS, _MOST_WORDS)
        for name in ("translation_length", "tag_length"):
            _check_whole(name, getattr(self, name), 1, _MOST_LENGTH)
        object.__setattr__(self, "data_dir", folder)
        files = find_files(dataset, folder)
        object.__setattr__(self, "written", _stamp(dataset, files))

    def load(self) -> Corpus:
        """The encoded sentences: read at first use, and kept in the cache folder.

        Raises:
            ValueError: one line: a file cannot be used or was rewritten after the source was made,
                or the library `tokenizers` is missing.
        """
        settings = Settings(
            source_words=self.source_words,
            target_words=self.target_words,
            translation_length=self.translation_length,
            tag_length=self.tag_length,
            truecase=self.truecase,
        )
        return _load(self.dataset, self.data_dir, settings, self.written)


@functools.lru_cache(maxsize=8)
def _load(dataset: str, data_dir: str | None, settings: Settings, written: Stamp) -> Corpus:
    files = find_files(dataset, data_dir)
    if _stamp(dataset, files) != written:
        raise ValueError(
            f"dataset={dataset!r}: its files were rewritten after the task was made; make it anew"
        )
    shapes = [(task.columns, task.merges_classes, tuple(task.parts)) for task in files]
    path = cache_path(paths_of(files), (settings, shapes))
    corpus = read_corpus(path)
    if corpus is None:
        logging.getLogger(__name__).info("encoding the text of %s, once for all", dataset)
        corpus = build(files, settings)
        write_corpus(path, corpus)
    return corpus


def _stamp(dataset: str, files: tuple[TaskFiles, ...]) -> Stamp:
    own = [] if dataset == MULTI30K else [data_path(dataset)]
    return stamp([*own, *paths_of(files)])


def _check_whole(name: str, value: object, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name}={shown(value)}: expected an integer from {least} to {most:,}")
