"""Words, digits and casing, by hand."""

import pytest

from autoloss_gym.data.sentences.words import learn_casing, plain, tokenize, truecased


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ein Mann, der geht.", ["Ein", "Mann", ",", "der", "geht", "."]),
        ("  3,5 km um 10:30!?", ["3,5", "km", "um", "10:30", "!", "?"]),
        ("Der T-Shirt-Träger sagt „ja“ -", ["Der", "T-Shirt-Träger", "sagt", "„", "ja", "“", "-"]),
        ("A dog's life isn’t 1.", ["A", "dog's", "life", "isn’t", "1", "."]),
        ("", []),
    ],
)
def test_text_is_divided_into_words_numbers_and_marks(text, words):
    assert tokenize(text) == words


@pytest.mark.parametrize(
    ("word", "encoded"),
    [("1984", "0000"), ("3,5-mal", "0,0-mal"), ("٣", "0"), ("10 000", "00000"), ("a▁b", "a_b")],
)
def test_digits_become_0_and_blanks_in_words_go(word, encoded):
    assert plain([word, word]) == [encoded, encoded]


SENTENCES = [
    ["Der", "Mann", "sieht", "der", "Frau", "zu"],
    ["Frau", "und", "MANN", "und", "Mann"],
    ["„", "Das", "Gehen", "im", "gehen"],
    ["Der", "1.", "Tag"],
]


def test_casing_is_that_which_a_word_has_most_often_within_sentences():
    casing = learn_casing(SENTENCES)
    # "Das" and "Der" begin sentences, after a mark too; 2 of 3 are "Mann".
    assert casing == {
        "mann": "Mann",
        "sieht": "sieht",
        "der": "der",
        "frau": "Frau",
        "zu": "zu",
        "und": "und",
        "gehen": "gehen",  # once each: small letters win
        "im": "im",
        "1.": "1.",
        "tag": "Tag",
    }


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        (["Der", "Mann"], ["der", "Mann"]),
        (["mann", "DER"], ["Mann", "DER"]),
        (["1", "„", "Der", "Der"], ["1", "„", "der", "Der"]),
        (["Das", "Tag"], ["Das", "Tag"]),  # never seen within a sentence
        ([".", "1"], [".", "1"]),
        ([], []),
    ],
)
def test_the_first_word_gets_the_casing_that_it_has_elsewhere(words, changed):
    assert truecased(words, learn_casing(SENTENCES)) == changed
