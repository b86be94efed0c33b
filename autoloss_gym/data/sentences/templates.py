"""Shapes of the grammar's sentences: what stands at each position, and the order in English."""

import itertools
from dataclasses import dataclass

SOURCE_LENGTH = 12
TARGET_LENGTH = 12  # with the end
_SHORTEST = 6  # words of a source sentence: shorter ones would often be drawn twice

# What a position may hold. Articles agree with the noun that follows them.
SUBJECT_ARTICLE, OBJECT_ARTICLE, ADJECTIVE, NOUN = "der", "den", "adjective", "noun"
VERB, AUXILIARY, ADVERB, CONJUNCTION = "verb", "auxiliary", "adverb", "conjunction"
IN, BEI_PERSON, BEI_PLACE = "in", "bei person", "bei place"
PERSON, PLACE, ONLY_PERSON, ONLY_PLACE = "person", "place", "only person", "only place"
COMMA, PERIOD, NOTHING = "comma", "period", "nothing"
ARTICLES = (SUBJECT_ARTICLE, OBJECT_ARTICLE)

Phrase = tuple[str, ...]


@dataclass(frozen=True)
class Template:
    """One shape of sentences.

    Args:
        slots: what each word of the source sentence is.
        alignment: for each word of the translation, the position of its source word.
    """

    slots: Phrase
    alignment: tuple[int, ...]


# Nouns may lack an article, as plurals do: then their place alone does not tell their class, and
# knowing which classes each stem has helps to translate.
_SHORT_SUBJECT: tuple[Phrase, ...] = ((PERSON,), (NOUN,), (SUBJECT_ARTICLE, NOUN))
_SUBJECT = (*_SHORT_SUBJECT, (ADJECTIVE, NOUN), (SUBJECT_ARTICLE, ADJECTIVE, NOUN))
_OBJECT: tuple[Phrase, ...] = (
    (),
    (PERSON,),
    (NOUN,),
    (ADJECTIVE, NOUN),
    (OBJECT_ARTICLE, NOUN),
    (OBJECT_ARTICLE, ADJECTIVE, NOUN),
)
_WHERE: tuple[Phrase, ...] = ((IN, PLACE), (BEI_PLACE, ONLY_PLACE), (BEI_PERSON, ONLY_PERSON))

# The phrases that may fill a constituent; small letters are those of a subordinate clause.
_CONSTITUENTS: dict[str, tuple[Phrase, ...]] = {
    "S": _SUBJECT,
    "M": _SHORT_SUBJECT,
    "O": _OBJECT,
    "P": _WHERE,
    "p": ((), *_WHERE),
    "D": ((ADVERB,),),
    "d": ((), (ADVERB,)),
    "V": ((VERB,),),
    "A": ((AUXILIARY,),),
    "c": ((CONJUNCTION,),),
    "s": _SUBJECT,
    "o": _OBJECT,
    "v": ((VERB,),),
    "a": ((AUXILIARY,),),
    ",": ((COMMA,),),
    ".": ((PERIOD,),),
}
# Orders of constituents in the source language and in English. A main clause has its verb in
# second place, or its auxiliary there and the verb last; a subordinate clause has both last.
_ORDERS = (
    ("SVdOp.", "SVOpd."),
    ("DVSOp.", "SVOpD."),
    ("PVSdO.", "SVOPd."),
    ("SAdOpV.", "SAVOpd."),
    ("DASOpV.", "SAVOpD."),
    ("MV,csov.", "MVcsvo."),
    ("MV,csova.", "MVcsavo."),
    ("csov,VM.", "MVcsvo."),
)


def _filled(source_order: str, target_order: str) -> list[Template]:
    """All templates of one order."""
    made = []
    for phrases in itertools.product(*(_CONSTITUENTS[name] for name in source_order)):
        positions: dict[str, range] = {}
        slots: list[str] = []
        for name, phrase in zip(source_order, phrases, strict=True):
            positions[name] = range(len(slots), len(slots) + len(phrase))
            slots += phrase
        alignment = [position for name in target_order for position in positions[name]]
        made.append(Template(tuple(slots), tuple(alignment)))
    return made


TEMPLATES = tuple(
    template
    for orders in _ORDERS
    for template in _filled(*orders)
    if _SHORTEST <= len(template.slots) <= SOURCE_LENGTH and len(template.alignment) < TARGET_LENGTH
)
