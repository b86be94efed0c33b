"""BLEU against values by hand."""

import math
import sys

import pytest

from autoloss_gym.scoring.translations import corpus_bleu


def test_bleu_is_the_geometric_mean_of_the_precisions_of_one_to_four_words():
    pytest.importorskip("sacrebleu")
    # 5/6 · 4/5 · 3/4 · 2/3 = 1/3
    assert corpus_bleu(["a b c d e f"], ["a b c d e g"]) == pytest.approx(100 * (1 / 3) ** 0.25)


def test_translations_that_are_too_short_pay_for_it():
    pytest.importorskip("sacrebleu")
    assert corpus_bleu(["a b c d e"], ["a b c d e f"]) == pytest.approx(100 * math.exp(1 - 6 / 5))


def test_counts_are_summed_over_sentences_before_they_are_divided(caplog):
    pytest.importorskip("sacrebleu")
    hypotheses = ["a b c d e f"] * 3 + ["a b c d ."] * 101
    references = ["a b c d e g"] * 3 + ["a b c d ."] * 101
    counts = [(6, 1), (5, 1), (4, 1), (3, 1)]
    precisions = [
        1 - 3 * missed / (3 * count + 101 * (count - 1)) for count, missed in counts
    ]  # of six and of five words
    expected = 100 * math.prod(precisions) ** 0.25
    assert corpus_bleu(hypotheses, references) == pytest.approx(expected)
    assert not caplog.records  # sacrebleu warns of a hundred lines that end in " ."


def test_equal_texts_have_100_and_texts_without_a_common_word_0():
    pytest.importorskip("sacrebleu")
    assert corpus_bleu(["ein Mann geht ."], ["ein Mann geht ."]) == pytest.approx(100)
    assert corpus_bleu(["a b c d e"], ["f g h i j"]) == 0


@pytest.mark.parametrize(
    ("hypotheses", "references", "line"),
    [
        (["a"], [], "1 hypotheses and 0 references: expected equally many, and at least one"),
        ([], [], "0 hypotheses and 0 references: expected equally many, and at least one"),
        ("a b", ["a b"], "hypotheses='a b': expected a list of texts"),
        (["a b"], [["a", "b"]], "references=[['a', 'b']]: expected a list of texts"),
    ],
)
def test_lists_that_do_not_match_are_refused(hypotheses, references, line, as_users_have_it):
    with pytest.raises(ValueError) as error:
        corpus_bleu(hypotheses, references)
    assert str(error.value) == line


def test_without_sacrebleu_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(ValueError, match=r'^BLEU needs .*pip install "autoloss_gym\[text\]"$'):
        corpus_bleu(["a"], ["a"])
