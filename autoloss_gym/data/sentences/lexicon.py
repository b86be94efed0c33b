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
# Of every three names one is a person, one a place and one either.
_ROLES = ((slots.ONLY_PERSON,), (slots.PERSON, slots.PLACE), (slots.ONLY_PLACE,))


class Entry(NamedTuple):
    """A word in one use.

    Args:
        use: its slot; of a name, whether it is always a person or place.
        source, target: of a word whose meaning is fixed, its id; else a rank among the problem's
            names or stems, and among its names or the meanings of stems.
        entity, part: its tags' ids.
    """

    use: str
    source: int
    target: int
    entity: int
    part: int


@dataclass(frozen=True)
class Entries:
    """All entries of a number of stems: those of padding and fixed words, of names, of stems."""

    closed: tuple[Entry, ...]
    names: tuple[Entry, ...]
    open: tuple[Entry, ...]

    @property
    def all(self) -> tuple[Entry, ...]:
        """The entries in the order in which a lexicon numbers them."""
        return self.closed + self.names + self.open

    def choices(self, slot: str) -> tuple[int, int]:
        """First of the entries that may fill a slot, and their number."""
        uses = {
            slots.PERSON: (slots.PERSON, slots.ONLY_PERSON),
            slots.PLACE: (slots.PLACE, slots.ONLY_PLACE),
        }.get(slot, (slot,))
        numbers = [number for number, entry in enumerate(self.all) if entry.use in uses]
        first, count = numbers[0], len(numbers)
        if slot in slots.ARTICLES:
            count //= _GENDERS  # the noun chooses the gender
        return first, count


@graph_constant()
def entries(stems: int) -> Entries:
    """The entries of problems with so many stems."""
    words = vocabularies(stems)
    nothing = Entry(slots.NOTHING, PADDING, PADDING, PADDING, PADDING)
    closed = tuple(
        Entry(
            use,
            words.source.index(source),
            words.targets[0].index(target),
            _tag(ENTITIES, "O"),
            _tag(PARTS_OF_SPEECH, part),
        )
        for use, part, pairs in CLOSED
        for source, target in pairs
    )
    names = [
        Entry(
            use,
            rank,
            rank,
            _tag(ENTITIES, "PERSON" if use in (slots.PERSON, slots.ONLY_PERSON) else "PLACE"),
            _tag(PARTS_OF_SPEECH, "NAME"),
        )
        for rank in range(len(NAMES))
        for use in _ROLES[rank % len(_ROLES)]
    ]
    order = (slots.ONLY_PERSON, slots.PERSON, slots.PLACE, slots.ONLY_PLACE)
    names.sort(key=lambda name: order.index(name.use))
    return Entries((nothing, *closed), tuple(names), _open(stems))


def _open(stems: int) -> tuple[Entry, ...]:
    """Entries of the stems by class: the first half of the stems has two."""
    uses = [
        (use, rank)
        for rank in range(stems)
        for use in (
            _TWO_CLASSES[rank % 3] if rank < stems // 2 else (_CLASSES[(rank - stems // 2) % 3],)
        )
    ]
    uses.sort(key=lambda pair: _CLASSES.index(pair[0]))
    entity = _tag(ENTITIES, "O")
    return tuple(
        Entry(use, rank, reading, entity, _tag(PARTS_OF_SPEECH, use.upper()))
        for reading, (use, rank) in enumerate(uses)
    )


def _tag(tags: tuple[str, ...], tag: str) -> int:
    return FIRST + tags.index(tag)


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
    words, table = vocabularies(stems), entries(stems)
    num_targets = num_readings(stems)
    names = random.permutation(random.fold_in(keys, "names"), len(NAMES))
    forms = random.permutation(random.fold_in(keys, "stems"), stems)
    meanings = random.permutation(random.fold_in(keys, "meanings"), num_targets)
    num_nouns = table.choices(slots.NOUN)[1]
    genders = random.permutation(random.fold_in(keys, "genders"), num_nouns) % _GENDERS

    first_stem = len(words.source) - stems
    first_meaning = len(words.targets[0]) - num_targets
    ids, ranks = _fixed(stems, keys.device)
    closed = ids[:, None].expand(-1, len(keys), -1)
    source = torch.cat(
        [
            closed[0],
            (names + (first_stem - len(NAMES))).index_select(1, ranks["names"]),
            (forms + first_stem).index_select(1, ranks["forms"]),
        ],
        dim=1,
    )
    target = torch.cat(
        [
            closed[1],
            (names + (first_meaning - len(NAMES))).index_select(1, ranks["names"]),
            meanings + first_meaning,
        ],
        dim=1,
    )
    gender = torch.zeros_like(source)
    first_noun = table.choices(slots.NOUN)[0]
    gender[:, first_noun : first_noun + num_nouns] = genders
    return Lexicon(source.to(torch.int32), target.to(torch.int32), gender)


@graph_constant()
def _fixed(
    stems: int, device: torch.device
) -> tuple[Int64[Tensor, "2 closed"], dict[str, Int64[Tensor, " _"]]]:
    """Ids of the words of fixed meaning, and the ranks of the entries of names and stems."""
    table = entries(stems)

    def tensor(values: list[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=device)

    ids = [[entry.source for entry in table.closed], [entry.target for entry in table.closed]]
    return tensor(sum(ids, [])).view(2, -1), {
        "names": tensor([entry.source for entry in table.names]),
        "forms": tensor([entry.source for entry in table.open]),
    }
