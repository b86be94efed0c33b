"""A parser of the grammar in plain Python, which knows rules of German and no templates."""

from collections.abc import Iterator
from dataclasses import dataclass

DEFINITE = {("der", 0), ("die", 1), ("das", 2)}
INDEFINITE = {("ein", 0), ("eine", 1), ("ein", 2)}
MASCULINE_OBJECT = {"der": "den", "ein": "einen"}
AUXILIARIES = {"hat": "has", "will": "wants", "kann": "can"}
ADVERBS = {"heute": "today", "oft": "often", "gern": "gladly"}
CONJUNCTIONS = {"weil": "because", "wenn": "if", "obwohl": "although"}
# Constituents of a sentence in German and in English; each has the subject S, the verb V, the
# auxiliary A, the object O, the place or company P and the adverb D; of a subordinate clause in
# small letters. A question mark follows what may be left out.
GERMAN = (
    "SVD?O?P?.",
    "DVSO?P?.",
    "PVSD?O?.",
    "SAD?O?P?V.",
    "DASO?P?V.",
    "SV,cso?va?.",
    "cso?v,VS.",
)
ENGLISH = "SAVOPDcsavo."

Token = tuple[int, str, str, str]  # position, English, entity, part of speech


@dataclass(frozen=True)
class Words:
    """What a problem's words mean.

    Args:
        nouns: their English words and genders, 0 (der), 1 (die) or 2 (das).
        verbs, adjectives: their English words.
        persons, places: names that may be these.
    """

    nouns: dict[str, tuple[str, int]]
    verbs: dict[str, str]
    adjectives: dict[str, str]
    persons: set[str]
    places: set[str]


def readings(sentence: list[str], words: Words) -> set[tuple[str, str, str]]:
    """Each way to read a sentence: its English, its entities and its parts of speech."""
    found = set()
    for order in GERMAN:
        for end, constituents in _constituents(order, sentence, 0, words):
            if end == len(sentence):
                found.add(_reading(constituents))
    return found


def _reading(constituents: dict[str, list[Token]]) -> tuple[str, str, str]:
    english = [token for name in ENGLISH for token in constituents.get(name, [])]
    german = sorted(token for tokens in constituents.values() for token in tokens)
    return (
        " ".join(word for _, word, _, _ in english),
        " ".join(entity for _, _, entity, _ in german),
        " ".join(part for _, _, _, part in german),
    )


def _constituents(
    order: str, sentence: list[str], start: int, words: Words
) -> Iterator[tuple[int, dict[str, list[Token]]]]:
    """Each way to read the words from `start` on as the constituents of an order."""
    if not order:
        yield start, {}
        return
    name, rest = order[0], order[1:].removeprefix("?")
    if order[1:2] == "?":
        yield from _constituents(rest, sentence, start, words)
    for tokens in _phrases(name, sentence, start, words):
        for end, others in _constituents(rest, sentence, start + len(tokens), words):
            yield end, {name: tokens} | others


def _phrases(name: str, sentence: list[str], start: int, words: Words) -> Iterator[list[Token]]:
    """Each way to begin the words from `start` on with one constituent."""
    word, *after = [*sentence[start : start + 3], ""]
    kinds = {
        "V": (words.verbs, "VERB"),
        "A": (AUXILIARIES, "AUXILIARY"),
        "D": (ADVERBS, "ADVERB"),
        "C": (CONJUNCTIONS, "CONJUNCTION"),
        ".": ({".": "."}, "PUNCTUATION"),
        ",": ({",": ""}, "PUNCTUATION"),
    }
    if name in "SsOo":
        yield from _noun_phrases(sentence, start, name in "Oo", words)
    elif name == "P":
        prepositions = [("in", "in", words.places, "PLACE")]
        prepositions += [("bei", "near", words.places - words.persons, "PLACE")]
        prepositions += [("bei", "with", words.persons - words.places, "PERSON")]
        for german, english, names, entity in prepositions:
            if word == german and after[0] in names:
                named = (start + 1, after[0], entity, "NAME")
                yield [(start, english, "O", "PREPOSITION"), named]
    elif word in kinds[name.upper()][0]:
        meanings, part = kinds[name.upper()]
        yield [(start, meanings[word], "O", part)]


def _noun_phrases(
    sentence: list[str], start: int, is_object: bool, words: Words
) -> Iterator[list[Token]]:
    if sentence[start] in words.persons:
        yield [(start, sentence[start], "PERSON", "NAME")]
    for has_article in (False, True):
        for has_adjective in (False, True):
            phrase = sentence[start : start + 1 + has_article + has_adjective]
            noun = words.nouns.get(phrase[-1])
            if noun is None or (has_adjective and phrase[-2] not in words.adjectives):
                continue
            tokens = [(noun[0], "NOUN")]
            if has_adjective:
                tokens.insert(0, (words.adjectives[phrase[-2]], "ADJECTIVE"))
            if has_article:
                article = _article(phrase[0], noun[1], is_object)
                if article is None:
                    continue
                tokens.insert(0, (article, "ARTICLE"))
            yield [(start + at, english, "O", part) for at, (english, part) in enumerate(tokens)]


def _article(word: str, gender: int, is_object: bool) -> str | None:
    """English of an article, if it agrees with a noun."""
    for english, articles in (("the", DEFINITE), ("a", INDEFINITE)):
        for article, agrees in articles:
            form = article
            if is_object and gender == 0:
                form = MASCULINE_OBJECT.get(article, article)
            if form == word and agrees == gender:
                return english
    return None
