"""Text as tasks get it: encoded, divided into parts, counted and kept."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest

from autoloss_gym.data.sentences import building, text_source
from autoloss_gym.data.sentences.corpus import Corpus
from autoloss_gym.data.sentences.encoding import END, FIRST, SPECIAL, TASKS, UNKNOWN
from autoloss_gym.data.sentences.subwords import join_subwords
from autoloss_gym.data.sentences.text_source import TextSource
from autoloss_gym.tools.cache import CACHE_VARIABLE
from autoloss_gym.tools.stored import write_arrays
from tests.data.sentences.own_corpora import NOUNS, pairs, tagged, write_corpus
from tests.support.paths import ROOT

pytest.importorskip("tokenizers")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of its own."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    text_source._load.cache_clear()
    return tmp_path / "cache"


@pytest.fixture
def own(tmp_path):
    return write_corpus(tmp_path / "own")


def load(path, **settings) -> Corpus:
    settings = {"source_words": 200, "target_words": 200} | settings
    return TextSource(str(path), **settings).load()


def source_text(corpus, row):
    """The source of a row as text."""
    return join_subwords(corpus.vocabularies.source[token] for token in row[: corpus.source_length])


def target_words(corpus, task, row):
    """The target's subwords or tags, without padding."""
    words = corpus.vocabularies.targets[task]
    return [words[token] for token in row[corpus.source_length :] if token]


def same(first, second):
    """Whether two corpora are equal, beside their digests."""
    arrays = zip(sum(first.parts, ()), sum(second.parts, ()), strict=True)
    equal = all(np.array_equal(one, other) and one.dtype == other.dtype for one, other in arrays)
    names = ("vocabularies", "source_length", "target_length", "digest", "remarks")
    return equal and all(getattr(first, name) == getattr(second, name) for name in names)


# What is encoded


def test_a_tenth_of_a_file_each_is_cut_off_its_end_for_validation_and_test(own):
    corpus = load(own)
    sizes = [[len(rows) for rows in part] for part in corpus.parts]
    assert sizes == [[32, 16, 24], [4, 2, 3], [4, 2, 3]]
    german = [line.replace(".", " .") for line in pairs()[0]]
    rows = [row for part in corpus.parts for row in part[0]]
    for line, row in zip(german, rows, strict=True):
        words = line.split()
        words = ["0" * len(word) if word.isdigit() else word for word in words]
        words[0] = words[0].replace("Der", "der")  # seen within sentences; "Heute" is not
        assert source_text(corpus, row) == " ".join(words)


def test_a_translation_ends_and_reads_as_the_text(own):
    corpus = load(own)
    row = corpus.training[0][1]
    words = target_words(corpus, 0, row)
    assert words[-1] == SPECIAL[END]
    assert join_subwords(words) == "the man sees the dog ."
    ends = (corpus.training[0][:, corpus.source_length :] == END).sum(axis=1)
    assert (ends == 1).all()


@pytest.mark.parametrize("task", [1, 2])
def test_tags_are_one_for_each_word_of_the_source_and_have_no_end(task, own):
    corpus = load(own, source_words=40)
    pieces = corpus.training[task][:, : corpus.source_length]
    starts = np.array([word.startswith("▁") for word in corpus.vocabularies.source])
    targets = corpus.training[task][:, corpus.source_length :]
    assert (pieces > 0).sum() > starts[pieces].sum()  # words are divided
    assert np.array_equal(starts[pieces].sum(axis=1), (targets > 0).sum(axis=1))
    assert targets[targets > 0].min() >= FIRST
    expected = (["B-PER", "O", "B-OTH", "O"], ["NOUN", "VERB", "NOUN", "PUNCT"])[task - 1]
    assert target_words(corpus, task, corpus.test[task][0]) == expected
    assert corpus.vocabularies.targets[task] == (*SPECIAL, *sorted(set(expected)))


def test_all_tasks_have_the_lengths_of_the_longest_sentence(own):
    corpus = load(own, source_words=40, translation_length=50)
    rows = np.concatenate(sum(corpus.parts, ()))
    assert rows.dtype == np.int32
    assert rows.shape == (90, corpus.source_length + corpus.target_length)
    assert rows[:, corpus.source_length - 1].any()  # none is longer than needed
    assert rows[:, -1].any()


def test_without_truecase_first_words_stay_as_they_are(own):
    corpus = load(own, truecase=False)
    assert source_text(corpus, corpus.training[0][0]).startswith("Der Mann sieht den")


def test_the_vocabulary_and_the_casing_are_learnt_on_training_parts_alone(own):
    before = load(own, translation_length=50).vocabularies.source
    path = own.parent / "train.de"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:32], *["Ganz anders sagt Xaver qq Heute ."] * 8]) + "\n")
    after = load(own, translation_length=50)
    assert after.vocabularies.source == before
    assert UNKNOWN in after.test[0]  # the letters of Xaver
    assert source_text(after, after.test[0][0]).endswith("Heute .")


# What is said


def test_what_is_left_out_is_counted_for_each_file(own):
    german, english = pairs()
    german[3] = ""
    english[7] = "  "
    german[10] = english[10] = ""
    german[11] += " und" * 30
    english[12] += " and" * 30
    german[-1] = "Heute ☃ sucht ☃."
    (own.parent / "train.de").write_text("\n".join(german) + "\n")
    (own.parent / "train.en").write_text("\n".join(english) + "\n")
    (own.parent / "ner.conll").write_text(
        tagged(20, ("B-PER", "O", "B-OTH", "O")).replace("Mann\tB-PER", "im\t_\nMann\tB-PER", 2)
    )
    corpus = load(own, translation_length=20)
    last = corpus.test[0]
    share = 2 / (last > 0).sum()
    assert corpus.remarks == (
        "translation: train.de, train.en (training): 29 sentences; left out 3 empty pairs, "
        "2 sentences of more than 20 subwords.",
        "translation: train.de, train.en (validation): 3 sentences.",
        f"translation: train.de, train.en (test): 3 sentences; unknown subwords: 2 ({share:.2%}).",
        "entities: ner.conll (training): 16 sentences; left out 2 words tagged _.",
        "entities: ner.conll (validation): 2 sentences.",
        "entities: ner.conll (test): 2 sentences.",
        "parts_of_speech: pos.conll (training): 24 sentences.",
        "parts_of_speech: pos.conll (validation): 3 sentences.",
        "parts_of_speech: pos.conll (test): 3 sentences.",
    )


def test_lengths_count_subwords_without_the_end(own):
    path = own.parent
    (path / "train.de").write_text("a a a\n" * 10)
    (path / "train.en").write_text("b b b\n" * 9 + "b b b b\n")
    with pytest.raises(ValueError, match=r"^train.de, train.en \(test\): none of 1 sentences has "):
        load(own, translation_length=3)
    assert "left out" not in load(own, translation_length=4).remarks[2]
    (path / "train.en").write_text("b b b\n" * 10)
    corpus = load(own, translation_length=3)
    assert len(corpus.training[0]) == 8
    assert target_words(corpus, 0, corpus.training[0][0]) == ["▁b", "▁b", "▁b", "</s>"]


# What is kept


def test_a_second_process_reads_what_the_first_one_encoded(own, cache, monkeypatch):
    first = load(own)
    (stored,) = cache.iterdir()
    content = stored.read_bytes()
    text_source._load.cache_clear()
    monkeypatch.setattr(building, "learn_subwords", None)
    monkeypatch.setattr(text_source, "build", None)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert same(load(own), first)
    assert stored.read_bytes() == content


def test_another_process_without_the_file_encodes_the_same(own, cache):
    first = load(own, source_words=60)
    program = (
        "from autoloss_gym.data.sentences.text_source import TextSource\n"
        f"print(TextSource({str(own)!r}, source_words=60, target_words=200).load().digest)"
    )
    environment = {**os.environ, CACHE_VARIABLE: str(cache / "other"), "PYTHONHASHSEED": "7"}
    found = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == first.digest


def test_the_files_may_be_elsewhere_as_long_as_they_are_the_same(own, tmp_path, monkeypatch):
    first = load(own)
    moved = shutil.copytree(own.parent, tmp_path / "moved") / own.name
    monkeypatch.setattr(text_source, "build", None)
    assert same(load(moved), first)


@pytest.mark.parametrize(
    "setting",
    [
        {"source_words": 50}, {"target_words": 100}, {"translation_length": 15},
        {"tag_length": 20}, {"truecase": False},
    ],
)  # fmt: skip
def test_each_setting_has_a_file_of_its_own(setting, own, cache):
    load(own)
    load(own, **setting)
    assert len(list(cache.iterdir())) == 2


def _cut(path):
    path.write_bytes(path.read_bytes()[:-9])


def _empty(path):
    path.write_bytes(b"")


def _one_bit(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def _pipe(path):
    path.unlink()
    os.mkfifo(path)


def _forged(**changes):
    """As the package writes a file, but with an id that no word has, or with other entries."""

    def damage(path):
        from autoloss_gym.data.sentences import storage

        whole = storage.read_corpus(path)
        rows = dict(zip(("training", "validation", "test"), whole.parts, strict=True))
        bad = {name: (change(rows[name][0]), *rows[name][1:]) for name, change in changes.items()}
        storage.write_corpus(path, dataclasses.replace(whole, **bad))

    return damage


def _other_content(path):
    write_arrays(path, {"shapes": json.dumps({"words": "x"}), "words": np.zeros(3)})


@pytest.mark.parametrize(
    "damage",
    [
        _cut, _empty, _one_bit, _pipe, _other_content,
        _forged(training=lambda rows: np.full_like(rows, 500)),
        _forged(test=lambda rows: rows - 100),
        _forged(validation=lambda rows: rows[:, 1:]),
        _forged(validation=lambda rows: rows[:0]),
    ],
)  # fmt: skip
def test_a_kept_file_that_cannot_be_used_is_made_anew(damage, own, cache):
    first = load(own)
    (stored,) = cache.iterdir()
    whole = stored.read_bytes()
    damage(stored)
    text_source._load.cache_clear()
    assert same(load(own), first)
    assert stored.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_said_and_stops_nothing(own, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    with pytest.warns(UserWarning, match=rf"text is not kept: .*file.*{CACHE_VARIABLE}"):
        first = load(own)
    with warnings.catch_warnings(action="error"):
        assert load(own) is first


def test_equal_sources_are_one_and_rewritten_files_make_another(own):
    source = TextSource(str(own))
    assert source == TextSource(str(own))
    assert hash(source) == hash(TextSource(str(own)))
    assert source.load() is TextSource(str(own)).load()
    text_source._load.cache_clear()
    path = own.parent / "pos.conll"
    path.write_text(path.read_text().replace("sucht", "findet"))
    assert TextSource(str(own)) != source
    with pytest.raises(ValueError, match="its files were rewritten after the task was made; make"):
        source.load()
    corpus = TextSource(str(own)).load()
    words = [source_text(corpus, row) for row in corpus.training[2]]
    assert f"{NOUNS[1]} findet {NOUNS[1]} ." in words
    assert list(TASKS) == ["translation", "entities", "parts_of_speech"]
