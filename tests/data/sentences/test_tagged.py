"""Files of tagged words in their forms, and what is wrong with others."""

import gzip

import pytest

from autoloss_gym.data.sentences.tagged import read_tagged

COLUMNS = "Er\tPRON\ngeht\tVERB\n\n#\tSYM\n1\tNUM\n"
# The same sentences.
FORMS = {
    "tabs": COLUMNS,
    "blanks": COLUMNS.replace("\t", "  "),
    "more empty lines": "\n\n" + COLUMNS.replace("\n\n", "\n \n\n") + "\n\n",
    "carriage returns": COLUMNS.replace("\n", "\r\n"),
    "comments": "# id = 1\n" + COLUMNS.replace("\n\n", "\n\n# text = # 1\n# newdoc\n"),
    "no last line feed": COLUMNS.rstrip(),
    "byte order mark": "\ufeff" + COLUMNS,
    "marks": "Er##PRON geht##VERB\n###SYM 1##NUM\n",
    "CoNLL-U": (
        "# text = Er geht\n"
        "1\tEr\ter\tPRON\tPPER\t_\t2\tnsubj\t_\t_\n"
        "2\tgeht\tgehen\tVERB\tVVFIN\t_\t0\troot\t_\t_\n"
        "\n"
        "# text = #1\n"
        "1-2\t#1\t_\t_\t_\t_\t_\t_\t_\t_\n"
        "1\t#\t#\tSYM\t$(\t_\t2\tdep\t_\t_\n"
        "2\t1\t1\tNUM\tCARD\t_\t0\troot\t_\t_\n"
        "2.1\tkommt\tkommen\tVERB\tVVFIN\t_\t_\t_\t_\t_\n"
    ),
}


def write(path, text):
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("packed", [False, True])
def test_all_forms_read_the_same(form, packed, tmp_path):
    path = write(tmp_path / "tags", FORMS[form])
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    found = read_tagged(path)
    assert found.words == [["Er", "geht"], ["#", "1"]]
    assert found.tags == [["PRON", "VERB"], ["SYM", "NUM"]]
    assert found.num_untagged == 0


def test_other_columns_are_read_where_they_are_named(tmp_path):
    text = "#\tsource\t[date]\n1\tEr\tO\tO\n2\tToyota\tB-ORG\tO\n"
    found = read_tagged(write(tmp_path / "tags", text), (2, 3))
    assert (found.words, found.tags) == ([["Er", "Toyota"]], [["O", "B-ORG"]])
    xpos = read_tagged(write(tmp_path / "tags", FORMS["CoNLL-U"]), (2, 5))
    assert xpos.tags == [["PPER", "VVFIN"], ["$(", "CARD"]]


def test_words_tagged_with_an_underscore_are_left_out_and_counted(tmp_path):
    text = "im##_ in##ADP dem##DET\n\nam##_\nan##ADP\n"
    found = read_tagged(write(tmp_path / "tags", text))
    assert found.words == [["in", "dem"], ["an"]]
    assert (found.num_untagged, found.num_empty) == (2, 1)


def test_each_tag_is_known_by_the_line_where_it_stands_first(tmp_path):
    assert read_tagged(write(tmp_path / "a", COLUMNS + "\nEs PRON\n".replace(" ", "\t"))).lines == {
        "PRON": 1, "VERB": 2, "SYM": 4, "NUM": 5,
    }  # fmt: skip
    assert read_tagged(write(tmp_path / "b", FORMS["marks"])).lines["NUM"] == 2


def test_composed_and_decomposed_letters_are_the_same_words(tmp_path):
    found = read_tagged(write(tmp_path / "tags", "fu\u0308r ADP\n"))
    assert found.words == [["für"]]


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("Er\tPRON\ngeht\n", None, ", line 2: 'geht' has no tag in column 2"),
        ("Er\tPRON\ngeht\t\n", None, ", line 2: 'geht\\t' has no tag in column 2"),
        ("Er\tPRON\n\tVERB\n", None, ", line 2: '\\tVERB' has no word in column 1"),
        ("Er PRON\nNew York LOC\n", None, ", line 2: 'New York LOC' has 3 columns, expected 2"),
        ("Er##PRON geht##VERB\nes##\n", None, ", line 2: 'es##' has no tag; expected word##TAG"),
        ("Er##PRON\nes regnet##VERB\n", None, ", line 2: 'es' has no tag; expected word##TAG"),
        ("\nEr\n", None, ", line 2: a word without a tag; expected a word and its tag, "),
        ("1\tEr\tO\tO\n", None, ", line 1: 4 columns; expected a word and its tag, lines of "),
        ("1\tEr\tO\n", (2, 4), ", line 1: it has 3 columns, expected words and tags in (2, 4)"),
        (FORMS["CoNLL-U"].replace("PRON", ""), None, "has no tag in column 4"),
        ("# nothing\n\n", None, " has no tagged words; expected "),
        ("Er\tPRON\ng\0ht\tVERB\n", None, ", line 2: this is no text, or not in UTF-8; save the "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line_with_its_place(text, columns, message, tmp_path):
    path = write(tmp_path / "tags.conll", text)
    with pytest.raises(ValueError) as error:
        read_tagged(path, columns)
    assert str(error.value).startswith(f"{str(path)!r}")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Er PRON\nfür ADP\n".encode("cp1252"), ", line 2: byte 0xfc is not UTF-8; save the file"),
        ("Er PRON\n".encode("utf-16"), ", line 1: byte 0xff is not UTF-8; save the file in UTF-8"),
        (gzip.compress(b"Er PRON\n", mtime=0)[:-4], " cannot be read: "),
        (gzip.compress(b"Er PRON\n" * 2**22, mtime=0), " cannot be read: it unpacks to more than "),
    ],
)
def test_what_is_no_text_is_refused_in_one_line(content, message, tmp_path):
    path = tmp_path / "tags.conll"
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        read_tagged(path)
    assert str(error.value).startswith(f"{str(path)!r}{message}")
    assert "\n" not in str(error.value)
