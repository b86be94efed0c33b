"""How sentences become numbers: ids that all vocabularies share, and the words of the others."""

from dataclasses import dataclass

PADDING, START, END, UNKNOWN = 0, 1, 2, 3
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")  # the words of these ids
FIRST = len(SPECIAL)  # id of the first word or tag
TASKS = ("translation", "entities", "parts_of_speech")


@dataclass(frozen=True, kw_only=True)
class Vocabularies:
    """Words by id; those of ids 0 to 3 are "<pad>", "<s>", "</s>" and "<unk>".

    Args:
        source: words of the sentences.
        targets: for the three tasks in the order of `TASKS`, words of translations, tags of
            entities and parts of speech.
    """

    source: tuple[str, ...]
    targets: tuple[tuple[str, ...], ...]
