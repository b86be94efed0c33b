"""Subwords: equal ids each time, and the way back to text."""

import os
import sys

import pytest

from autoloss_gym.data.sentences.encoding import SPECIAL, UNKNOWN
from autoloss_gym.data.sentences.subwords import join_subwords, learn_subwords

# Words of many kinds, so that hash tables have something to disorder.
SENTENCES = [
    [f"{stem}{ending}" for stem in ("geh", "steh", "seh", "lauf") for ending in endings]
    for endings in (("e", "en", "t"), ("en", "st"), ("end", "ung", "er"))
] * 3


def test_pairs_are_merged_by_how_often_they_stand_together():
    pytest.importorskip("tokenizers")
    # 4 special ones; then ▁ a b c; then the merges: "▁a" (5 times), "▁ab" (3), "bc" (2)
    found = learn_subwords([["ab"] * 3, ["ac"] * 2, ["bc"]], 11)
    assert found.words[:9] == (*SPECIAL, "a", "b", "c", "▁", "▁a")
    assert set(found.words[9:]) == {"▁ab", "▁ac"}
    assert [found.words[token] for token in found.encode(["ab", "aa", "ba"])] == [
        "▁ab", "▁a", "a", "▁", "b", "a",
    ]  # fmt: skip


def test_two_trainings_give_equal_ids():
    pytest.importorskip("tokenizers")
    first, *others = (learn_subwords(SENTENCES, 60) for _ in range(5))
    assert len(first.words) == 60
    for other in others:
        assert other.words == first.words
        assert all(other.encode(words) == first.encode(words) for words in SENTENCES)


def test_text_becomes_ids_and_then_the_same_text():
    pytest.importorskip("tokenizers")
    found = learn_subwords(SENTENCES, 40)
    for words in SENTENCES:
        ids = found.encode(words)
        assert len(ids) > len(words)  # some words are divided
        assert join_subwords(found.words[token] for token in ids) == " ".join(words)


def test_text_ends_at_the_end_and_has_no_padding():
    words = ["<s>", "▁ge", "ht", "▁<unk>", "▁.", "</s>", "▁x", "<pad>"]
    assert join_subwords(words) == "geht <unk> ."
    assert join_subwords(["<pad>"]) == ""


def test_characters_never_seen_are_unknown():
    pytest.importorskip("tokenizers")
    found = learn_subwords([["ab"]], 40)
    ids = found.encode(["a☃b"])
    assert ids.count(UNKNOWN) == 1
    assert join_subwords(found.words[token] for token in ids) == "a<unk>b"


def test_at_most_half_of_the_vocabulary_are_single_characters():
    pytest.importorskip("tokenizers")
    # Each character once, and one word often: the rare ones may not use up the vocabulary.
    rare = [[chr(number)] for number in range(ord("α"), ord("α") + 25)]
    found = learn_subwords([*rare, *([["hallo"]] * 9)], 32)
    assert sum(len(word) == 1 for word in found.words) <= 16
    assert "▁hallo" in found.words


@pytest.mark.parametrize("special", SPECIAL)
def test_a_word_that_looks_like_a_special_one_is_not_taken_for_it(special):
    pytest.importorskip("tokenizers")
    found = learn_subwords(
        [[special, "a"]] * 9 + [["<", "p", "d", "s", "/", "u", "n", "k", ">"]], 60
    )
    ids = found.encode([special])
    assert min(ids) > UNKNOWN
    assert join_subwords(found.words[token] for token in ids) == special


@pytest.mark.parametrize("before", [None, "true"])
def test_the_environment_is_as_before(before, monkeypatch):
    pytest.importorskip("tokenizers")
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    if before:
        monkeypatch.setenv("TOKENIZERS_PARALLELISM", before)
    learn_subwords([["ab"]], 40)
    assert os.environ.get("TOKENIZERS_PARALLELISM") == before


def test_without_tokenizers_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ValueError, match=r'^reading text .*pip install "autoloss_gym\[text\]"$'):
        learn_subwords([["ab"]], 40)
