"""Tables in the forms in which users have them: their numbers, or one true line."""

import os
import re
import sys
import time
import types
from dataclasses import dataclass
from decimal import Decimal

import gymnasium as gym
import jaxtyping
import numpy as np
import pytest

from agents.options import key_value
from autoloss_gym.data.tables import as_dataset, load_table
from autoloss_gym.tasks.supervised.mlp_classification import MLPClassification
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from tests.support import tried_tables
from tests.support.paths import ROOT
from tests.support.tried_tables import FORMS, NAMES, PRICE, VALUES, outcome, text, write

ID = "AutoLoss/QuadraticRegression-v1"


def assert_refused(call, *patterns):
    with pytest.raises(ValueError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for pattern in patterns:
        assert re.search(pattern, message), message


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.what)
def test_a_table_of_a_users_form_is_read_as_meant_or_refused_in_one_true_line(form, tmp_path):
    table, line = outcome(write(form, tmp_path))
    assert "\n" not in line
    if form.outcome:
        assert table is None
        assert line.startswith(f"dataset={form.file!r}: ")
        assert re.search(form.outcome, line), line
        return
    assert table is not None, line
    np.testing.assert_array_equal(table.inputs[:, -2:], VALUES[:, :2])
    np.testing.assert_array_equal(table.targets, PRICE)
    assert bool(table.remarks) == bool(form.remark)
    assert re.search(form.remark, line), line


# The separator


def read(content, tmp_path, target=None):
    path = tmp_path / "table.csv"
    path.write_text(content)
    return load_table(str(path), target)


def test_where_two_separators_divide_alike_the_one_that_leaves_numbers_is_taken(tmp_path):
    rows = "".join(f"{row},5;{row * row},25\n" for row in range(30))
    table = read("size,m;price,EUR\n" + rows, tmp_path)
    assert table.target == "price,EUR"
    assert table.inputs[:, 0].tolist() == [row + 0.5 for row in range(30)]


def test_where_two_separators_cannot_be_told_apart_the_way_out_is_a_first_line(tmp_path):
    rows = "x,y;z,u\n" * 30
    assert_refused(
        lambda: read("a,b;c,d\n" + rows, tmp_path), "',' and ';' divide", "first line such as sep=;"
    )
    numbers = "".join(f"1,5;{row},5\n" for row in range(30))
    assert read("sep=;\na,b;c,d\n" + numbers, tmp_path).inputs[0, 0] == 1.5


def test_a_line_break_in_a_quoted_name_belongs_to_the_name(tmp_path):
    rows = "".join(f"{row};{row * row}\n" for row in range(100))
    assert read('a;"price\n(EUR)"\n' + rows, tmp_path).target == "price\n(EUR)"


def test_records_are_counted_as_they_stand_in_the_file(tmp_path):
    content = text(header="a,b,y") + ",,\n\n1,,3\n"
    assert_refused(lambda: read(content, tmp_path), r"'b' \(1, first in record 43\)")


# Names


@pytest.mark.parametrize(
    "name", ["yes", "null", "2020_01", "1", "0.5", "1.50", "1e3", "0x10", "~", "a: b", "'q", "[x]"]
)
def test_a_column_is_found_by_its_name_as_text(name, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(text(header=f"rooms,{name},price"))
    arguments = dict([key_value(f"target={name}"), key_value(f"dataset={path}")])
    table = gym.make(ID, **arguments).unwrapped.task.table
    assert table.target == name
    np.testing.assert_array_equal(table.targets, VALUES[:, 1])


def test_folders_and_files_are_text_and_a_target_may_be_the_number_of_an_own_task():
    for value in ("2020", "2020_01", "yes", "[x]", "null"):
        assert key_value(f"data_dir={value}") == ("data_dir", value)
        assert key_value(f"dataset={value}") == ("dataset", value)
    assert key_value("target=-0.5") == ("target", -0.5)
    assert key_value("dimension=2_0") == ("dimension", 20)


def test_a_wrong_or_a_second_target_is_one_line(tmp_path, monkeypatch):
    content = text()
    assert_refused(lambda: read(content, tmp_path, "prize"), "did you mean 'price'.*rooms, area")
    assert_refused(lambda: read(content, tmp_path, "area,price"), "2 columns.*one target")
    path = str(tmp_path / "table.csv")
    # As users have it, without the checks of annotations.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    assert_refused(
        lambda: QuadraticRegression(dataset=path, target=["area", "price"]),
        r"target=\['area', 'price'\]: expected",
    )


def test_the_columns_of_a_wide_table_are_not_all_listed(tmp_path):
    names = [f"c{index}" for index in range(3000)]
    content = ",".join(names) + "\n" + ",".join(["1"] * 3000) + "\n"
    with pytest.raises(ValueError, match="2,994 more") as caught:
        read(content, tmp_path, "z")
    assert len(str(caught.value)) < 400


# What is read again


def test_a_table_that_was_rewritten_is_read_again_and_a_task_keeps_the_one_it_was_made_with(
    tmp_path,
):
    path = tmp_path / "table.csv"
    path.write_text(text())
    before = QuadraticRegression(dataset=str(path))
    assert QuadraticRegression(dataset=str(path)).table is before.table
    path.write_text(text(value=lambda value: f"{value + 1:g}"))
    after = QuadraticRegression(dataset=str(path))
    np.testing.assert_array_equal(after.table.targets, PRICE + 1)
    np.testing.assert_array_equal(before.table.targets, PRICE)
    assert before != after
    assert before.data_digest != after.data_digest


def test_a_file_rewritten_at_the_same_size_is_known_by_its_time(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(text())
    os.utime(path, ns=(0, 0))
    first = load_table(str(path))
    path.write_text(text().replace("20.5", "21.5"))
    os.utime(path, ns=(0, 1))
    assert load_table(str(path)).inputs[0, 1] == first.inputs[0, 1] + 1


def test_the_digest_is_that_of_the_numbers_whatever_the_form(tmp_path):
    for form in FORMS[:8]:
        task = QuadraticRegression(dataset=str(write(form, tmp_path)))
        assert len(task.data_digest) == 64
        assert task.data_digest == QuadraticRegression(dataset=frame()).data_digest
    assert QuadraticRegression().data_digest == ""
    assert QuadraticRegression(dataset="diabetes").data_digest


# Data frames and arrays


@dataclass
class Column:
    values: np.ndarray

    def to_numpy(self):
        return self.values


class Frame:
    """As much of a data frame as pandas and Polars have in common."""

    def __init__(self, **columns):
        self._columns = columns

    @property
    def columns(self):
        return list(self._columns)

    def __len__(self):
        return len(VALUES)

    def __getitem__(self, name):
        return Column(self._columns[name])

    def to_numpy(self):
        return np.stack(list(self._columns.values()), axis=1)


def frame(**columns):
    return Frame(**(dict(zip(NAMES, VALUES.T.copy(), strict=True)) | columns))


def episode(**arguments):
    envs = gym.make_vec(ID, num_envs=2, max_steps=10, validate_every=5, **arguments)
    outputs = [envs.reset(seed=0)[0], *(envs.step(np.zeros(2, int))[0] for _ in range(5))]
    envs.close()
    return np.stack(outputs)


def test_a_frame_or_arrays_are_a_data_set_with_the_same_numbers_as_their_file(tmp_path):
    path = str(tmp_path / "table.csv")
    (tmp_path / "table.csv").write_text(text())
    expected = episode(dataset=path, target="area")
    np.testing.assert_array_equal(episode(dataset=frame(), target="area"), expected)
    np.testing.assert_array_equal(episode(dataset=(VALUES[:, [0, 2]], VALUES[:, 1])), expected)


def test_a_task_of_a_frame_can_be_compared_hashed_and_shown_and_does_not_change_with_it():
    given = frame()
    task = QuadraticRegression(dataset=given)
    same = QuadraticRegression(dataset=frame())
    given["price"].values[:] = 0
    assert task == same != QuadraticRegression(dataset=frame(price=PRICE + 1))
    assert hash(task) == hash(same)
    assert "<table of 40 rows and 3 columns>" in repr(task)
    assert task.remarks("test")[0].startswith("Target: column 'price' (the last) of <table of 40")


def test_columns_of_a_frame_may_be_numbers_in_any_dress():
    dressed = frame(
        rooms=VALUES[:, 0].astype(np.int8),
        area=np.array([Decimal(str(value)) for value in VALUES[:, 1]], dtype=object),
        price=PRICE.astype(np.float32),
    )
    np.testing.assert_array_equal(QuadraticRegression(dataset=dressed).table.inputs, VALUES[:, :2])
    sold = frame(rooms=VALUES[:, 0] > 3)
    task = QuadraticRegression(dataset=sold)
    assert task.table.inputs[:, 0].tolist() == (VALUES[:, 0] > 3).tolist()
    assert "true as 1" in task.remarks("test")[1]


GAPS = np.where(np.arange(len(VALUES)) == 7, np.nan, VALUES[:, 0])
FRAMES = {
    "text": (frame(rooms=np.array(["many"] * 40, dtype=object)), "'rooms' .'many'.; encode"),
    "dates": (frame(rooms=np.array(["2024-05-01"] * 40, "M8[s]")), "'rooms' .datetime64"),
    "NaN": (frame(rooms=GAPS), "missing values: 1 in 1 of 3 columns.*'rooms' .1, first in row 7."),
    "None": (frame(rooms=np.array([None, *range(39)], dtype=object)), "missing.*row 0"),
    "a name twice": (Frame(**{"a": PRICE, " a": PRICE}), "several columns are called 'a'"),
    "arrays of other shapes": ((VALUES, PRICE[:-1]), r"\(40, 3\) and \(39,\)"),
    "arrays with NaN": ((VALUES, PRICE * np.nan), "'target' .40, first in row 0"),
    "a number": (5, "of type int: expected a name, a path, a data frame"),
    "a dictionary": ({"a": [1]}, "of type dict: expected a name"),
    "None at all": (None, "of type NoneType"),
}


@pytest.mark.parametrize(("dataset", "culprit"), FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize("task", [QuadraticRegression, MLPClassification])
def test_a_frame_that_cannot_be_used_is_one_line(dataset, culprit, task):
    assert_refused(lambda: task(dataset=dataset), culprit)
    if dataset is not None:
        assert_refused(lambda: as_dataset(dataset), culprit)


# Parquet


def test_parquet_without_a_reader_says_what_to_install(tmp_path, monkeypatch):
    path = tmp_path / "table.PARQUET"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setitem(sys.modules, "polars", None)
    assert_refused(lambda: load_table(str(path)), "needs pyarrow or polars: pip install pyarrow")


def test_parquet_is_read_by_polars_where_pyarrow_is_missing(tmp_path, monkeypatch):
    path = tmp_path / "table.parquet"
    path.write_bytes(b"PAR1")
    polars = types.ModuleType("polars")
    polars.read_parquet = lambda found: frame() if found == path else None
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setitem(sys.modules, "polars", polars)
    np.testing.assert_array_equal(load_table(str(path), "price").inputs, VALUES[:, :2])


class LibraryError(Exception):
    """Of a kind that nobody else knows."""


def test_a_broken_parquet_file_is_one_line(tmp_path, monkeypatch):
    path = tmp_path / "table.parquet"
    path.write_bytes(b"PAR1")
    polars = types.ModuleType("polars")

    def fail(found):
        raise LibraryError("out of specification:\nno footer")

    polars.read_parquet = fail
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setitem(sys.modules, "polars", polars)
    assert_refused(lambda: load_table(str(path)), "cannot be read; out of specification: no footer")


# Pipes, bombs and width


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    for name in ("table.csv", "table.npz", "table.parquet"):
        os.mkfifo(tmp_path / name)
        assert_refused(lambda name=name: load_table(str(tmp_path / name)), "a pipe or a device")
    (tmp_path / "link.csv").symlink_to("/dev/zero")
    assert_refused(lambda: load_table(str(tmp_path / "link.csv")), "a pipe or a device")


def test_a_field_of_a_hundred_thousand_digits_takes_no_time(tmp_path):
    content = text() + "1,2," + "9" * 100_000 + "x\n"
    start = time.process_time()
    assert_refused(lambda: read(content, tmp_path), r"'price' \('9999.*' in record 42\)")
    assert time.process_time() - start < 2


def test_a_table_of_30_000_columns_is_read_in_3_seconds(tmp_path):
    names = [f"column {index}" for index in range(30_000)]
    values = np.round(np.random.default_rng(0).normal(size=(40, 30_000)), 4)
    lines = [",".join(names), *(",".join(map(str, row.tolist())) for row in values)]
    content = "\n".join(lines)
    start = time.process_time()
    table = read(content, tmp_path)
    assert time.process_time() - start < 3
    np.testing.assert_array_equal(table.inputs, values[:, :-1])
    assert_refused(
        lambda: read(content.replace("column 29999", "column 7", 1), tmp_path), "called 'column 7'"
    )


def test_the_documentation_says_what_comes_of_each_form():
    assert tried_tables.report() in (ROOT / "docs/results/data_files.md").read_text()
