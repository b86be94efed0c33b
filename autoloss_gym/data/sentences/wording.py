"""Words of the grammar's two languages, fixed by their ids so that sentences can be read."""

import itertools

from autoloss_gym.data.sentences import templates as slots
from autoloss_gym.data.sentences.encoding import SPECIAL, Vocabularies
from autoloss_gym.tools.compiling import graph_constant

ENTITIES = ("O", "PERSON", "PLACE")
PARTS_OF_SPEECH = (
    "ARTICLE",
    "NOUN",
    "VERB",
    "AUXILIARY",
    "ADJECTIVE",
    "PREPOSITION",
    "CONJUNCTION",
    "NAME",
    "ADVERB",
    "PUNCTUATION",
)
MOST_STEMS = 1000

# Entries of words whose meaning is the same in all problems: slot, part of speech, and pairs of a
# word and its translation. Articles: for each gender, the definite and the indefinite one. English
# has no comma, so that of a comma is never used.
CLOSED: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    (
        slots.SUBJECT_ARTICLE,
        "ARTICLE",
        (("der", "the"), ("ein", "a"), ("die", "the"), ("eine", "a"), ("das", "the"), ("ein", "a")),
    ),
    (
        slots.OBJECT_ARTICLE,
        "ARTICLE",
        (
            ("den", "the"),
            ("einen", "a"),
            ("die", "the"),
            ("eine", "a"),
            ("das", "the"),
            ("ein", "a"),
        ),
    ),
    (slots.AUXILIARY, "AUXILIARY", (("hat", "has"), ("will", "wants"), ("kann", "can"))),
    (slots.ADVERB, "ADVERB", (("heute", "today"), ("oft", "often"), ("gern", "gladly"))),
    (
        slots.CONJUNCTION,
        "CONJUNCTION",
        (("weil", "because"), ("wenn", "if"), ("obwohl", "although")),
    ),
    (slots.IN, "PREPOSITION", (("in", "in"),)),
    (slots.BEI_PERSON, "PREPOSITION", (("bei", "with"),)),
    (slots.BEI_PLACE, "PREPOSITION", (("bei", "near"),)),
    (slots.COMMA, "PUNCTUATION", ((",", "<pad>"),)),
    (slots.PERIOD, "PUNCTUATION", ((".", "."),)),
)
NAMES = ("Hagen", "Lindau", "Arnheim", "Bergen", "Selm", "Falken")

# Sounds of a syllable: beginnings, vowels, ends.
_GERMAN = (
    "b br d dr f g gl h k kr m n pf r sch schl st t w z",
    "a e i o u au ei",
    "nk ft ld ng rg rn lz lt mm pf cht",
)
_ENGLISH = (
    "b bl ch cl d f gr h j l m p qu r sh sl t th w y",
    "a e i o oo ea ai",
    "rk lt nd ft m mp sh st lm n rd",
)


def _syllables(sounds: tuple[str, ...], size: int, taken: tuple[str, ...]) -> tuple[str, ...]:
    """`size` different words of one syllable, none of them taken."""
    # The numbers of sounds, 20, 7 and 11, have no common divisor: all triples occur.
    cycles = zip(*(itertools.cycle(sound.split()) for sound in sounds), strict=False)
    words = map("".join, itertools.islice(cycles, 20 * 7 * 11))
    return tuple(itertools.islice((word for word in words if word not in taken), size))


def num_readings(stems: int) -> int:
    """Pairs of a stem and a word class in which it occurs: half of the stems occur in two."""
    return stems + stems // 2


@graph_constant()
def vocabularies(stems: int) -> Vocabularies:
    """All words: special ones, those of fixed meaning, names, then the stems or what they mean."""
    pairs = [pair for _, _, words in CLOSED for pair in words]
    source = tuple(dict.fromkeys((*SPECIAL, *(word for word, _ in pairs), *NAMES)))
    target = tuple(dict.fromkeys((*SPECIAL, *(word for _, word in pairs), *NAMES)))
    return Vocabularies(
        source=source + _syllables(_GERMAN, stems, source),
        targets=(
            target + _syllables(_ENGLISH, num_readings(stems), target),
            SPECIAL + ENTITIES,
            SPECIAL + PARTS_OF_SPEECH,
        ),
    )
