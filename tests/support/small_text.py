"""The corpora that "multi30k" stands for, with few sentences of few words."""

import gzip
from pathlib import Path

_NOUNS = ("Mann", "Hund", "Baum", "Wagen", "Tisch")
_ENGLISH = ("man", "dog", "tree", "car", "table")
_SIZES = (120, 30, 30)  # of the training, the validation and the test files


def write_small_text(folder: Path) -> Path:
    """Write "multi30k" with the corpora of entities and parts of speech into a data folder."""
    for part, count in zip(("train", "val", "test_2016_flickr"), _SIZES, strict=True):
        pairs = [_pair(index) for index in range(count)]
        for language, column in (("de", 0), ("en", 1)):
            lines = [pair[column] for pair in pairs]
            _write(folder / f"multi30k/{part}.{language}.gz", lines)

    for part, count in (("test", 150), ("dev", 60)):
        lines = [line for index in range(count) for line in _entities(index)]
        _write(folder / f"germeval14/NER-de-{part}.tsv.gz", lines)

    for part, count in zip(("train", "dev", "test"), _SIZES, strict=True):
        sentences = [f"Der##DET {_NOUNS[index % 5]}##NOUN schläft##VERB" for index in range(count)]
        _write(folder / f"ud_german_gsd/upos_{part}.pos.gz", sentences)
    return folder


def _pair(index: int) -> tuple[str, str]:
    subject, thing = index % 5, index // 5 % 5
    german = f"Der {_NOUNS[subject]} sieht den {_NOUNS[thing]}."
    return german, f"The {_ENGLISH[subject]} sees the {_ENGLISH[thing]}."


def _entities(index: int) -> list[str]:
    noun = _NOUNS[index % 5]
    return [f"# {index}", "1\tAnna\tB-PER\tO", "2\tsieht\tO\tO", f"3\t{noun}\tO\tO", ""]


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
