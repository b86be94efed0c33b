"""What the words of a problem mean: one entry for each word and each way in which it is used."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Int32, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.data.sentences import templates as slots
from autoloss_gym.data.sentences.encoding import FIRST, PADDING
from autoloss_gym.data.sentences.wording import (
    CLOSED,
    ENTITIES,
    NAMES,
    PARTS_OF_SPEECH,
    num_readings,
    vocabularies,
)
from autoloss_gym.tools.compiling import graph_constant

_GENDERS = 3
# Classes of open-class words, and those between which a form may be ambiguous.
_CLASSES = (slots.NOUN, slots.VERB, slots.ADJECTIVE)
_TWO_CLASSES = (_CLASSES[:2], _CLASSES[1:], (slots.ADJECTIVE, slots.NOUN))
# Uses of names with their entity: of every three names one is a person, one either, one a place.
_USES_OF_NAMES = (
    (slots.ONLY_PERSON, "PERSON", 0),
    (slots.PERSON, "PERSON", 1),
    (slots.PLACE, "PLACE", 1),
    (slots.ONLY_PLACE, "PLACE", 2),
)


class Entry(NamedTuple):
    """A word in one use, before a problem renames names, stems and their meanings.

    Args:
        use: the slot that it fills; names that are always persons, or places, fill two.
        source, target: ids of the word and its translation.
        entity, part: ids of its tags.
    """

    use: str
    source: int
    target: int
    entity: int
    part: int


@graph_constant()
def entries(stems: int) -> tuple[Entry, ...]:
    """The entries of problems with so many stems; the first is padding."""
    nothing = Entry(slots.NOTHING, PADDING, PADDING, PADDING, PADDING)
    return (nothing, *_closed(stems), *_names(stems), *_open(stems))


def _closed(stems: int) -> list[Entry]:
    """Entries of the words whose meaning is fixed."""
    words = vocabularies(stems)
    return [
        Entry(
            use,
            words.source.index(source),
            words.targets[0].index(target),
            _tag(ENTITIES, "O"),
            _tag(PARTS_OF_SPEECH, part),
        )
        for use, part, pairs in CLOSED
        for source, target in pairs
    ]


def _names(stems: int) -> list[Entry]:
    """Entries of the names by use."""
    words = vocabularies(stems)
    return [
        Entry(
            use,
            words.source.index(name),
            words.targets[0].index(name),
            _tag(ENTITIES, entity),
            _tag(PARTS_OF_SPEECH, "NAME"),
        )
        for use, entity, kind in _USES_OF_NAMES
        for name in NAMES[kind::3]
    ]


def _open(stems: int) -> list[Entry]:
    """Entries of the stems by class; the first half of the stems has two."""
    words = vocabularies(stems)
    ambiguous = stems // 2
    classes: list[tuple[str, ...]] = [_TWO_CLASSES[stem % 3] for stem in range(ambiguous)]
    classes += [(_CLASSES[stem % 3],) for stem in range(stems - ambiguous)]
    readings = [(use, stem) for use in _CLASSES for stem in range(stems) if use in classes[stem]]
    return [
        Entry(
            use,
            len(words.source) - stems + stem,
            len(words.targets[0]) - num_readings(stems) + reading,
            _tag(ENTITIES, "O"),
            _tag(PARTS_OF_SPEECH, use.upper()),
        )
        for reading, (use, stem) in enumerate(readings)
    ]


def _tag(tags: tuple[str, ...], tag: str) -> int:
    return FIRST + tags.index(tag)


def choices(stems: int, slot: str) -> tuple[int, int]:
    """First of the entries that may fill a slot, and their number; of articles, in each gender."""
    uses = {
        slots.PERSON: (slots.PERSON, slots.ONLY_PERSON),
        slots.PLACE: (slots.PLACE, slots.ONLY_PLACE),
    }.get(slot, (slot,))
    numbers = [number for number, entry in enumerate(entries(stems)) if entry.use in uses]
    return numbers[0], len(numbers) // (_GENDERS if slot in slots.ARTICLES else 1)


@dataclass(frozen=True)
class Lexicon:
    """The entries of every run's problem.

    Args:
        source, target: ids of the words.
        gender: of nouns 0, 1 or 2; of others 0.
    """

    source: Int32[Tensor, "num_envs entries"]
    target: Int32[Tensor, "num_envs entries"]
    gender: Int64[Tensor, "num_envs entries"]


def draw_lexicon(keys: Int64[Tensor, " num_envs"], stems: int) -> Lexicon:
    """A lexicon for each key: which form is which noun, verb, adjective or name, and its gender."""
    table = _table(stems, keys.device)
    names = random.permutation(random.fold_in(keys, "names"), len(NAMES))
    forms = random.permutation(random.fold_in(keys, "stems"), stems)
    meanings = random.permutation(random.fold_in(keys, "meanings"), num_readings(stems))
    num_nouns = choices(stems, slots.NOUN)[1]
    gender = random.permutation(random.fold_in(keys, "genders"), num_nouns) % _GENDERS
    # Names mean themselves in both languages, so they are renamed alike.
    source = _renamed(table["source words"], names, forms).index_select(1, table["source"])
    target = _renamed(table["target words"], names, meanings).index_select(1, table["target"])
    none = torch.zeros_like(gender[:, :1])
    return Lexicon(
        source.to(torch.int32),
        target.to(torch.int32),
        torch.cat([none, gender], dim=1).index_select(1, table["noun"]),
    )


def _renamed(
    words: Int64[Tensor, " words"],
    names: Int64[Tensor, "num_envs names"],
    others: Int64[Tensor, "num_envs others"],
) -> Int64[Tensor, "num_envs words"]:
    """What each run's problem calls the words, of which names and then others are the last."""
    first_other = len(words) - others.shape[1]
    first_name = first_other - names.shape[1]
    fixed = words[:first_name].expand(len(names), -1)
    return torch.cat([fixed, names + first_name, others + first_other], dim=1)


@graph_constant()
def _table(stems: int, device: torch.device) -> dict[str, Int64[Tensor, " _"]]:
    """All words' ids, and of each entry the words and, if it is a noun, its number from 1 on."""
    words, table = vocabularies(stems), entries(stems)
    nouns = [number for number, entry in enumerate(table) if entry.use == slots.NOUN]
    columns = {
        "source words": range(len(words.source)),
        "target words": range(len(words.targets[0])),
        "source": [entry.source for entry in table],
        "target": [entry.target for entry in table],
        "noun": [number - nouns[0] + 1 if number in nouns else 0 for number in range(len(table))],
    }
    return {
        name: torch.tensor(column, dtype=torch.int64, device=device)
        for name, column in columns.items()
    }
