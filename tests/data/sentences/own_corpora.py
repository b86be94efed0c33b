"""A small corpus of all three tasks, as a user has it in files."""

import json
from pathlib import Path

NOUNS = ("Mann", "Hund", "Baum", "Wagen", "Tisch")
ENGLISH = ("man", "dog", "tree", "car", "table")
VERBS = ("sieht", "sucht")
# What the three tasks have: 40 pairs, 20 and 30 tagged sentences.
NAMES = ("translation", "entities", "parts_of_speech")


def pairs() -> tuple[list[str], list[str]]:
    """German lines and their translations."""
    german = []
    english = []
    for subject in range(5):
        for thing in range(5):
            german.append(f"Der {NOUNS[subject]} sieht den {NOUNS[thing]}.")
            english.append(f"The {ENGLISH[subject]} sees the {ENGLISH[thing]}.")
    for count in range(15):
        german.append(f"Heute sucht der {NOUNS[count % 5]} {count} von uns.")
        english.append(f"Today the {ENGLISH[count % 5]} looks for {count} of us.")
    return german, english


def tagged(count: int, tags: tuple[str, ...]) -> str:
    """Sentences of four words with one of these tags each, a word and its tag a line."""
    text = ""
    for index in range(count):
        words = (NOUNS[index % 5], VERBS[index % 2], NOUNS[index % 4], ".")
        text += "\n".join(f"{word}\t{tag}" for word, tag in zip(words, tags, strict=True)) + "\n\n"
    return text


def write_corpus(folder: Path) -> Path:
    """Write files of all tasks, and the YAML file that names them; its path."""
    folder.mkdir(parents=True, exist_ok=True)
    german, english = pairs()
    (folder / "train.de").write_text("\n".join(german) + "\n")
    (folder / "train.en").write_text("\n".join(english) + "\n")
    (folder / "ner.conll").write_text(tagged(20, ("B-PER", "O", "B-OTH", "O")))
    (folder / "pos.conll").write_text(tagged(30, ("NOUN", "VERB", "NOUN", "PUNCT")))
    return name_files(
        folder,
        translation=["train.de", "train.en"],
        entities="ner.conll",
        parts_of_speech="pos.conll",
    )


def name_files(folder: Path, **files: object) -> Path:
    """Write a file that names others, in JSON, which is YAML too."""
    path = folder / "own.yml"
    path.write_text(json.dumps(files))
    return path
