"""Files that a user names: how they may be named, and what is wrong with them."""

import gzip
import json
import shutil

import pytest
import yaml

from autoloss_gym.data.sentences import text_source
from autoloss_gym.data.sentences.text_source import TextSource
from tests.data.sentences.own_corpora import name_files, tagged, write_corpus


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of its own."""
    monkeypatch.setenv("AUTOLOSS_GYM_CACHE", str(tmp_path / "cache"))
    text_source._load.cache_clear()


@pytest.fixture
def own(tmp_path):
    return write_corpus(tmp_path / "own")


PAIRS = ["train.de", "train.en"]
FILES = {"translation": PAIRS, "entities": "ner.conll", "parts_of_speech": "pos.conll"}


def refusal(dataset, **settings) -> str:
    with pytest.raises(ValueError) as error:
        TextSource(str(dataset), **settings).load()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_yaml_and_json_name_the_same_files(own):
    pytest.importorskip("tokenizers")
    digest = TextSource(str(own)).load().digest
    as_json = own.with_suffix(".json")
    as_json.write_text(json.dumps(FILES))
    own.write_text(yaml.safe_dump(FILES))
    assert TextSource(str(as_json)).load().digest == TextSource(str(own)).load().digest == digest


def test_parts_that_have_files_are_these_and_the_others_are_cut_off(own):
    pytest.importorskip("tokenizers")
    folder = own.parent
    for name in ("train.de", "train.en"):
        lines = (folder / name).read_text().splitlines(keepends=True)
        (folder / name.replace("train", "val")).write_text("".join(lines[:5]))
        (folder / name.replace("train", "test")).write_text("".join(lines[:6]))
    (folder / "dev.conll").write_text(tagged(7, ("B-PER", "O", "O", "O")))
    (folder / "test.conll").write_bytes(gzip.compress(tagged(8, ("NOUN",) * 4).encode()))
    translation = {"training": PAIRS, "validation": ["val.de", "val.en"]}
    name_files(
        folder,
        translation=translation | {"test": ["test.de", str(folder / "test.en")]},
        entities={"training": "ner.conll", "validation": ["dev.conll"]},
        parts_of_speech={"training": "pos.conll", "test": "test.conll"},
    )
    corpus = TextSource(str(own)).load()
    sizes = [[len(rows) for rows in part] for part in corpus.parts]
    assert sizes == [[40, 18, 27], [5, 7, 3], [6, 2, 8]]
    assert corpus.remarks[0].startswith("translation: train.de, train.en: 40 sentences")
    assert corpus.remarks[4:6] == (
        "entities: dev.conll: 7 sentences.",
        "entities: ner.conll (test): 2 sentences.",
    )


def test_columns_may_be_named(own):
    pytest.importorskip("tokenizers")
    whole = TextSource(str(own)).load()
    path = own.parent / "ner.conll"
    lines = [f"1\t{line}\tO" if line else "" for line in path.read_text().split("\n")]
    path.write_text("\n".join(lines))
    name_files(own.parent, **FILES | {"entities": {"training": "ner.conll", "columns": [2, 3]}})
    assert TextSource(str(own)).load().digest == whole.digest


def test_a_tag_in_a_cut_part_alone_is_known(own):
    pytest.importorskip("tokenizers")
    path = own.parent / "ner.conll"
    path.write_text(path.read_text() + "Ende\tB-END\n")
    corpus = TextSource(str(own)).load()
    assert "B-END" in corpus.vocabularies.targets[1]


def test_lines_that_do_not_match_are_refused_with_file_and_line(own):
    path = own.parent / "train.en"
    path.write_text(path.read_text() + "One more.\n\n")
    short = own.parent / "train.de"
    assert refusal(own) == (
        f"{str(path)!r}, line 41: {str(short)!r} ends before this line; the two files have 40 and "
        "42 lines, expected equally many"
    )


def test_text_in_another_encoding_is_refused_with_file_and_line(own):
    path = own.parent / "train.de"
    path.write_bytes(path.read_bytes().replace(b"Der Hund", "Für".encode("cp1252"), 1))
    assert refusal(own) == f"{str(path)!r}, line 6: byte 0xfc is not UTF-8; save the file in UTF-8"


def test_a_tag_that_training_lacks_is_refused_with_file_and_line(own):
    path = own.parent / "dev.conll"
    path.write_text("Mann\tB-PER\n\nsieht\tO\nBaum\tB-OHT\n")
    name_files(
        own.parent, **FILES | {"entities": {"training": "ner.conll", "validation": path.name}}
    )
    assert refusal(own) == (
        f"{str(path)!r}, line 4: the training part has no such tag: unknown tag 'B-OHT'; "
        "did you mean 'B-OTH'? Known: B-OTH, B-PER, O"
    )


def test_a_file_that_is_missing_is_named_with_the_nearest(own):
    name_files(own.parent, **FILES | {"entities": "ner.conl"})
    assert refusal(own) == (
        f"{str(own.parent / 'ner.conl')!r}: there is no such file; did you mean 'ner.conll'?"
    )


def test_too_few_sentences_to_cut_are_refused(own):
    (own.parent / "ner.conll").write_text("Mann\tB-PER\n\nBaum\tO\n")
    assert refusal(own).startswith("ner.conll has 2 sentences, too few to cut 3 parts off")


EXPECTED = "; expected such as translation: [train.de, train.en], or training, validation and test"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (FILES | {"entitys": "x"}, ": unknown task 'entitys'; did you mean 'entities'? Known: "),
        ({"translation": PAIRS, "entities": "ner.conll"}, " names no files for 'parts_of_speech'; expected such as parts_of_speech: tagged.conllu, or training"),
        (FILES | {"translation": "train.de"}, ", translation: got ['train.de']" + EXPECTED),
        (FILES | {"translation": {"source": "train.de"}}, ", translation: unknown entry 'source'; Known: test, training, validation"),
        (FILES | {"translation": {"test": PAIRS}}, ", translation: no 'training' is given" + EXPECTED),
        (FILES | {"translation": [1, 2]}, ", translation: got a value of type list" + EXPECTED),
        (FILES | {"entities": None}, ", entities: got a value of type NoneType; expected such as "),
        (FILES | {"entities": {"training": "ner.conll", "columns": [0, 2]}}, ", entities: columns: expected two column numbers from 1"),
        (FILES | {"entities": {"training": "ner.conll", "columns": [2, 3]}}, ", line 1: it has 2 columns, expected words and tags in (2, 3)"),
        (["train.de"], " holds list; expected files for translation, entities, parts_of_speech"),
    ],
)  # fmt: skip
def test_names_that_cannot_be_used_are_refused_in_one_line(content, message, own):
    own.write_text(yaml.safe_dump(content))
    assert message in refusal(own)


@pytest.mark.parametrize("text", ["a: [", "a: !!python/object:os.system {}", "\x00", "[" * 3_000])
def test_what_is_neither_yaml_nor_json_is_refused_in_one_line(text, own):
    own.write_text(text)
    assert refusal(own).startswith(f"{str(own)!r} cannot be read as YAML or JSON: ")


def test_names_and_paths_that_lead_nowhere_are_refused(own, tmp_path, monkeypatch):
    monkeypatch.delenv("AUTOLOSS_GYM_DATA", raising=False)
    line = refusal("multi30")
    assert line.startswith(
        "unknown dataset 'multi30'; did you mean 'multi30k'? Known: multi30k, or "
    )
    assert "this is a folder, no file; give the path of a file (.yml" in refusal(own.parent)
    line = refusal(own.with_name("owm.yml"))
    assert line.endswith("owm.yml': there is no such file; did you mean 'own.yml'?")
    assert "give the path of a file (.yml" in refusal(tmp_path / "nowhere" / "own.yml")
    assert "no data folder is given; set data_dir" in refusal("multi30k")
    line = refusal("multi30k", data_dir=str(tmp_path))
    assert line == f"{str(tmp_path / 'multi30k')!r}: there is no such folder; expected train.de.gz"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("source_words", 31), ("target_words", 2.5), ("target_words", True), ("tag_length", 0),
        ("translation_length", "25"), ("source_words", 2**20 + 1),
    ],
)  # fmt: skip
def test_settings_out_of_bounds_are_refused(setting, value, own, as_users_have_it):
    line = refusal(own, **{setting: value})
    assert line.startswith(f"{setting}={value!r}: expected an integer from ")


def test_the_data_folder_may_be_named_by_the_environment(tmp_path, monkeypatch, own):
    pytest.importorskip("tokenizers")
    for part, name in (("train", "train"), ("val", "train"), ("test_2016_flickr", "train")):
        for language in ("de", "en"):
            path = tmp_path / "data" / "multi30k" / f"{part}.{language}"
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(own.parent / f"{name}.{language}", path)
    entities = "#\tsource\n1\tDeutsche\tB-LOCderiv\tO\n2\tBank\tI-ORGpart\tB-LOC\n\n" * 10
    for folder, names, text in (
        ("germeval14", ("NER-de-test.tsv", "NER-de-dev.tsv"), entities),
        (
            "ud_german_gsd",
            [f"upos_{each}.pos" for each in ("train", "dev", "test")],
            "im##_ in##ADP\n",
        ),
    ):
        (tmp_path / "data" / folder).mkdir()
        for name in names:
            (tmp_path / "data" / folder / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    monkeypatch.setenv("AUTOLOSS_GYM_DATA", str(tmp_path / "data"))
    corpus = TextSource("multi30k").load()
    assert corpus.vocabularies.targets[1][4:] == ("B-LOC", "I-ORG")
    assert [len(rows) for rows in corpus.training] == [40, 9, 1]
    assert TextSource("multi30k") == TextSource("multi30k", data_dir=str(tmp_path / "data"))
