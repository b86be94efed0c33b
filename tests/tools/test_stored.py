"""Values and arrays on disk: what was stored comes back, and anything else is one line."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from autoloss_gym.tools.forms import (
    Array,
    Many,
    Maybe,
    Named,
    OneOf,
    OrNone,
    Pair,
    Real,
    Text,
    Whole,
)
from autoloss_gym.tools.stored import (
    read_arrays,
    read_value,
    read_values,
    write_arrays,
    write_values,
)

TREE = {
    "empty": np.zeros((0, 2)),
    "single": np.array(3, np.float32),
    "runs": [np.arange(3), np.array([True, False])],
    "counters": {"steps": 7, "rate": 0.1, "name": "ä", "optional": 1},
    "states": {0: np.array([np.nan, np.inf, -0.0])},
}
FORM = {
    "empty": Array("float64", (None, 2)),
    "single": Array("float32", ()),
    "runs": [Array("int64", (3,), least=0, most=2), Array("bool", (2,))],
    "counters": {"steps": Whole(0, 9), "rate": Real(0, 1), "name": Text(), "optional": Maybe(Whole(0, 9))},
    "states": {0: Maybe(Array("float64", (3,), finite=False)), 1: Maybe(Whole(0, 1))},
}  # fmt: skip


@pytest.fixture
def path(tmp_path):
    write_arrays(tmp_path / "x", TREE)
    return tmp_path / "x"


def test_a_tree_comes_back_bit_for_bit_in_the_types_of_its_form(path):
    found = read_arrays(path, FORM)
    assert found["counters"] == TREE["counters"]
    assert list(found["states"]) == [0]
    assert found["states"][0].tobytes() == TREE["states"][0].tobytes()
    assert [each.tolist() for each in found["runs"]] == [[0, 1, 2], [True, False]]
    assert (found["single"].shape, found["empty"].shape) == ((), (0, 2))
    assert read_value(path, "counters/steps", Whole(0, 9)) == 7


def test_the_same_tree_is_always_the_same_bytes(path, tmp_path):
    write_arrays(tmp_path / "y", TREE)
    assert path.read_bytes() == (tmp_path / "y").read_bytes()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"single": np.array(np.nan, np.float32)}, "single is float32 () with nan to nan, expected finite float32 ()"),
        ({"single": np.array(3.0)}, "single is float64 ()"),
        ({"single": 3}, "single is 3, expected finite float32 ()"),
        ({"empty": np.zeros((2, 0))}, "empty is float64 (2, 0), expected finite float64 (…, 2)"),
        ({"runs": [np.array([0, 1, 3]), TREE["runs"][1]]}, "runs/0 is int64 (3) with 0 to 3, expected finite int64 (3) from 0 to 2"),
        ({"runs": TREE["runs"][:1]}, "it has no 'runs/1'"),
        ({"runs": [*TREE["runs"], 1]}, "it has 'runs/2', which is not expected"),
        ({"counters": TREE["counters"] | {"steps": True}}, "counters/steps is True, expected a whole number from 0 to 9"),
        ({"counters": TREE["counters"] | {"steps": 2.0}}, "counters/steps is 2.0"),
        ({"counters": TREE["counters"] | {"rate": float("nan")}}, "counters/rate is nan, expected a number from 0 to 1"),
        ({"counters": 5}, "it has no 'counters/steps'"),
    ],
)  # fmt: skip
def test_what_has_not_the_form_is_named(change, expected, tmp_path):
    write_arrays(tmp_path / "x", TREE | change)
    with pytest.raises(ValueError, match="cannot be read") as caught:
        read_arrays(tmp_path / "x", FORM)
    assert expected in str(caught.value)


@pytest.mark.parametrize("position", [0, 9, 40, -1])
def test_one_wrong_bit_is_one_line(position, path):
    content = bytearray(path.read_bytes())
    content[position] ^= 4
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"x' cannot be read: .") as caught:
        read_arrays(path, FORM)
    assert "\n" not in str(caught.value)


def test_a_file_is_read_only_in_its_own_format(path):
    save_file(load_file(path), path, metadata={"format": "3"})
    with pytest.raises(ValueError, match=r"format 3 is newer than this version reads \(2\)"):
        read_arrays(path, FORM)
    save_file(load_file(path), path)
    with pytest.raises(ValueError, match=r"format 1 is older than this version reads \(2\)"):
        read_arrays(path, FORM)


def test_a_file_that_claims_more_than_it_holds_takes_no_memory(path):
    header = {"a": {"dtype": "F64", "shape": [1 << 40], "data_offsets": [0, 1 << 43]}}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(ValueError, match="cannot be read"):
        read_arrays(path, FORM)


# Plain values

VALUES = {
    "count": 3,
    "names": ["a"],
    "pairs": [["a", None]],
    "any": {"b": [1.5, float("inf")]},
    "choice": "x",
}
VALUE_FORMS = {
    "count": OrNone(Whole(1, 9)),
    "names": Many(Text()),
    "pairs": Many(Pair()),
    "any": Named(),
    "choice": OneOf(("x", 1)),
    "later": Maybe(Text()),
}


def test_plain_values_come_back(tmp_path):
    write_values(tmp_path / "x", VALUES)
    assert read_values(tmp_path / "x", VALUE_FORMS) == VALUES


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"count": 0}, "count is 0, expected a whole number from 1 to 9 or null"),
        ({"count": True}, "count is True"),
        ({"count": 1e30}, "count is 1e+30"),
        ({"names": "a"}, "names is 'a', expected a list, each a text"),
        ({"names": [1]}, "names is [1], expected a list, each a text"),
        ({"pairs": [["a"]]}, "expected a list, each [name, value]"),
        ({"any": []}, "any is [], expected a mapping of names"),
        ({"choice": True}, "choice is True, expected 'x' or 1"),
        ({"later": 1}, "later is 1, expected a text"),
        ({"other": 1}, "it has 'other', which is not expected"),
        ({"format": 3}, "format 3 is newer than this version reads (2)"),
        ({"format": "x"}, "its format is 'x', expected 2"),
        ({"format": None}, "its format is None, expected 2"),
    ],
)
def test_a_value_that_is_not_expected_is_named(change, expected, tmp_path):
    (tmp_path / "x").write_text(json.dumps({"format": 2, **VALUES, **change}))
    with pytest.raises(ValueError, match="cannot be read") as caught:
        read_values(tmp_path / "x", VALUE_FORMS)
    assert expected in str(caught.value)


def test_a_change_is_noticed_until_its_checksum_is_deleted(tmp_path):
    path = tmp_path / "x"
    write_values(path, VALUES)
    content = json.loads(path.read_text()) | {"count": 4}
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="delete its line 'checksum'"):
        read_values(path, VALUE_FORMS)
    del content["checksum"]
    path.write_text(json.dumps(content))
    assert read_values(path, VALUE_FORMS)["count"] == 4


@pytest.mark.parametrize(
    "text", ["", "[]", "3", '"x"', "{", "[" * 100_000, "\xff", '{"format": 2, "count": NaN}', "9" * 5000],
)  # fmt: skip
def test_text_that_is_no_such_mapping_is_one_line(text, tmp_path):
    (tmp_path / "x").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"x' cannot be read: .") as caught:
        read_values(tmp_path / "x", VALUE_FORMS)
    assert "\n" not in str(caught.value)
