"""Values on the command line are plain: no tags, no aliases, nothing without a bound."""

import math
import time

import pytest

from agents.yaml_values import read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-1_000", -1000),
        ("1e-3", 1e-3),
        (".5", 0.5),
        ("true", True),
        ("", None),
        ("~", None),
        ("[1, 2.5, {a: b}]", [1, 2.5, {"a": "b"}]),
        ("normalize: count", {"normalize": "count"}),
        ("'1'", "1"),
        ("a=b", "a=b"),
        ("houses.csv", "houses.csv"),
    ],
)
def test_numbers_words_lists_and_mappings_are_read(text, value):
    got = read(text)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    "text", ["yes", "off", "1:30", "2020-01-01", "2020-13-45", "0x1F", "1_", "nan"]
)
def test_what_yaml_1_1_takes_for_something_else_is_text(text):
    assert read(text) == text


def test_numbers_beyond_a_float_are_infinite_or_text():
    assert read("1e999") == math.inf
    assert read("9" * 401) == "9" * 401


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("&a [*a]", "anchors and aliases"),
        ("[&a x, *a]", "anchors and aliases"),
        ("!!int ''", "tags"),
        ("!!bool foo", "tags"),
        ("!!timestamp foo", "tags"),
        ("!!python/object/apply:os.system [id]", "tags"),
        ("[" * 3000, "more than 16 deep"),
        ("- " * 3000, "more than 16 deep"),
        ("x" * 100_001, "longer than 100,000 characters"),
        ("{a: 1, a: 2}", "the name 'a' in a mapping is no text, or stands twice"),
        ("{[1]: 2}", "is no text, or stands twice"),
        ("[1", "not YAML"),
        ("a\n---\nb", "several documents"),
        ("\x00", "not YAML"),
    ],
    ids=lambda value: value[:20],
)
def test_everything_else_is_one_line_at_once(text, expected):
    began = time.monotonic()
    with pytest.raises(ValueError, match=expected) as caught:
        read(text)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 5


def test_a_bomb_of_aliases_is_refused_at_once():
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    with pytest.raises(ValueError, match="anchors and aliases"):
        read("\n".join(lines))
