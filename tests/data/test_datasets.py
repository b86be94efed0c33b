"""Tables, their fixed five-way partition, who sees which part, and what is said of a file that
cannot be used.
"""

import gc
import io
import pathlib
import pickle
import re

import gymnasium as gym
import numpy as np
import pytest
import torch

import autoloss_gym  # noqa: F401 (registers the ids)
from autoloss_gym.data.partition import five_way_partition
from autoloss_gym.data.resampled_tables import resampled_regression
from autoloss_gym.data.tables import load_table

pytestmark = pytest.mark.filterwarnings("error")

ID = "AutoLoss/QuadraticRegression-v1"
PINNED = {
    "controller_train": [171, 176, 322],
    "controller_validation": [54, 432, 170],
    "train": [1, 248, 186],
    "validation": [183, 79, 316],
    "test": [138, 269, 347],
}
# By split, the parts that a run trains on, is validated on and is scored on.
ROLES = {
    "train": ("controller_train", "controller_validation", "validation"),
    "validation": ("train", "validation", "controller_validation"),
    "test": ("train", "validation", "test"),
}
SHARES = {
    "controller_train": 0.25,
    "controller_validation": 0.15,
    "train": 0.25,
    "validation": 0.15,
    "test": 0.2,
}
ROWS = 350


def keys(*numbers):
    return torch.tensor(numbers, dtype=torch.int64)


@pytest.fixture
def write_csv(tmp_path):
    """Writes a table whose column `row` is the number of the row, from which a test reads off the
    rows that it gets.
    """

    def write(name="table.csv", num_rows=ROWS, **columns):
        rows = np.arange(num_rows)
        columns = {
            "row": rows,
            "wave": np.round(np.sin(rows), 3),
            "y": np.round(rows % 17 + np.cos(rows), 3),
        } | columns
        lines = [
            ",".join(columns),
            *(",".join(map(str, values)) for values in zip(*columns.values(), strict=True)),
        ]
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return str(path)

    return write


def rows_of(run, pieces, validation_rows):
    """The rows of the table in each piece, read off the standardised column `row`; the validation
    rows are known.
    """
    values = {name: piece["inputs"][run, :, 0].double().numpy() for name, piece in pieces.items()}
    slope, offset = np.polyfit(np.sort(values["validation"]), np.sort(validation_rows), 1)
    rows = {name: slope * value + offset for name, value in values.items()}
    for value in rows.values():
        np.testing.assert_allclose(value, np.rint(value), atol=0.01)
    return {name: np.rint(value).astype(int).tolist() for name, value in rows.items()}


# The partition


@pytest.mark.parametrize("num_rows", [25, 26, 101, 442, 1000])
def test_the_five_parts_are_disjoint_cover_all_rows_and_have_their_shares(num_rows):
    parts = five_way_partition(num_rows)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(num_rows))
    assert {name: len(rows) for name, rows in parts.items()} == pytest.approx(
        {name: share * num_rows for name, share in SHARES.items()}, abs=1.0
    )


def test_the_parts_never_change():
    first, again = five_way_partition(442), five_way_partition(442)
    for name, rows in first.items():
        np.testing.assert_array_equal(rows, again[name])
    assert {name: rows[:3].tolist() for name, rows in first.items()} == PINNED


def test_the_parts_do_not_follow_the_order_of_the_rows():
    for rows in five_way_partition(1000).values():
        assert abs(rows.mean() - 500) < 100
        assert np.abs(np.diff(rows)).mean() > 200


# Who sees what


@pytest.mark.parametrize("split", ROLES)
def test_a_split_gets_the_documented_parts_by_value(split, write_csv):
    parts = five_way_partition(ROWS)
    training, validation, test = (parts[role] for role in ROLES[split])
    pieces = resampled_regression(load_table(write_csv()), keys(1, 2), split)
    for run in range(2):
        rows = rows_of(run, pieces, validation)
        assert sorted(rows["validation"]) == sorted(validation)
        assert sorted(rows["test"]) == sorted(test)
        assert len(set(rows["training"])) == len(rows["training"]) == len(training) * 4 // 5
        assert set(rows["training"]) <= set(training)


def test_the_test_part_moves_nothing_but_the_scores_of_the_test_split(write_csv):
    untouched = write_csv()
    targets = load_table(untouched).targets.copy()
    targets[five_way_partition(ROWS)["test"]] += 100
    changed = write_csv("changed.csv", y=targets)
    for split in ROLES:
        first, second = (_episode(path, split) for path in (untouched, changed))
        for before, after in zip(first["outputs"], second["outputs"], strict=True):
            np.testing.assert_array_equal(before, after)
        scores = (first["scores"] == second["scores"]).all()
        assert scores == (split != "test")


def _episode(path, split):
    envs = gym.make_vec(ID, num_envs=2, dataset=path, split=split, max_steps=20, validate_every=5)
    outputs = [envs.reset(seed=0)[0]]
    for step in range(20):
        observations, rewards, _, _, infos = envs.step(np.full(2, step % 2))
        outputs += [observations, rewards]
    final = infos["final_info"]
    return {
        "outputs": [*outputs, infos["final_obs"]],
        "scores": np.stack([final["score"], final["best_score"]]),
    }


@pytest.mark.parametrize("split", ROLES)
def test_different_instances_train_on_different_resamples_and_equal_ones_on_the_same(
    split, write_csv
):
    validation = five_way_partition(ROWS)[ROLES[split][1]]
    pieces = resampled_regression(load_table(write_csv()), keys(5, 6, 5), split)
    first, second, again = (rows_of(run, pieces, validation) for run in range(3))
    assert set(first["training"]) != set(second["training"])
    assert first == again
    for name in ("validation", "test"):
        assert first[name] == second[name]


def test_num_instances_is_the_number_of_different_problems_and_splits_share_none():
    seen = {}
    for split, number in (("train", 1), ("validation", 3), ("test", 3)):
        envs = gym.make_vec(ID, num_envs=8, dataset="diabetes", split=split, num_instances=number)
        seen[split] = set(np.concatenate([envs.reset()[1]["instance"] for _ in range(5)]).tolist())
        assert len(seen[split]) == number
    assert len(set.union(*seen.values())) == 7


# Standardisation


def test_inputs_and_targets_are_standardised_on_the_training_part_of_each_run():
    pieces = resampled_regression(load_table("diabetes"), keys(1, 2, 3), "train")
    assert pieces["training"]["inputs"].shape == (3, 88, 10)
    for values in pieces["training"].values():
        assert values.dtype == torch.float32
        torch.testing.assert_close(
            values.mean(dim=1), torch.zeros_like(values[:, 0]), rtol=0, atol=1e-6
        )
        torch.testing.assert_close(
            values.std(dim=1, correction=0), torch.ones_like(values[:, 0]), rtol=0, atol=1e-5
        )
    for name in ("validation", "test"):
        for values in pieces[name].values():
            assert values.mean(dim=1).abs().max() > 0.01


def test_standardised_values_are_those_of_the_table():
    parts, table = five_way_partition(442), load_table("diabetes")
    targets = resampled_regression(load_table("diabetes"), keys(1), "test")
    for name, role in (("validation", "validation"), ("test", "test")):
        correlation = np.corrcoef(targets[name]["targets"][0].numpy(), table.targets[parts[role]])
        assert correlation[0, 1] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("constant", [1.0, 0.1, 1e6 + 0.1])
def test_a_column_that_is_constant_in_training_is_left_unscaled(constant, write_csv):
    column = np.full(ROWS, constant)
    column[five_way_partition(ROWS)["controller_validation"]] += 0.5
    pieces = resampled_regression(load_table(write_csv(wave=column)), keys(1), "train")
    for name, expected in (("training", 0.0), ("validation", 0.5)):
        values = pieces[name]["inputs"][..., 1]
        torch.testing.assert_close(values, torch.full_like(values, expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize("constant", [1.0, 0.1, 1e6 + 0.1])
def test_a_target_that_is_constant_in_training_is_left_unscaled(constant, write_csv):
    targets = np.full(ROWS, constant)
    targets[five_way_partition(ROWS)["controller_validation"]] += 0.5
    pieces = resampled_regression(load_table(write_csv(y=targets)), keys(1), "train")
    for name, expected in (("training", 0.0), ("validation", 0.5)):
        values = pieces[name]["targets"]
        torch.testing.assert_close(values, torch.full_like(values, expected), rtol=0, atol=1e-6)


# Reading


def test_diabetes_is_the_table_of_scikit_learn():
    from sklearn.datasets import load_diabetes

    table = load_table("diabetes")
    inputs, targets = load_diabetes(return_X_y=True)
    np.testing.assert_array_equal(table.inputs, inputs)
    np.testing.assert_array_equal(table.targets, targets)


@pytest.mark.parametrize(("target", "chosen"), [(None, 2), ("y", 2), ("row", 0), ("wave", 1)])
def test_a_csv_gives_the_chosen_column_as_target_and_the_others_as_inputs(
    target, chosen, write_csv
):
    path = write_csv(num_rows=30)
    expected = np.loadtxt(path, delimiter=",", skiprows=1)
    table = load_table(path, target)
    np.testing.assert_array_equal(table.targets, expected[:, chosen])
    np.testing.assert_array_equal(table.inputs, np.delete(expected, chosen, axis=1))


def test_a_csv_may_have_a_byte_order_mark_quotes_and_blank_lines(tmp_path):
    path = tmp_path / "spreadsheet.csv"
    lines = ['"a","the, target"', "", *(f'"{i}",{i * i}' for i in range(30)), ""]
    path.write_text("\r\n".join(lines), encoding="utf-8-sig")
    table = load_table(str(path), "the, target")
    np.testing.assert_array_equal(table.inputs[:, 0], np.arange(30))
    np.testing.assert_array_equal(table.targets, np.arange(30) ** 2)


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_an_npz_gives_its_arrays_as_float64(dtype, tmp_path):
    inputs, targets = np.arange(60).reshape(30, 2).astype(dtype), np.arange(30).astype(dtype)
    np.savez(tmp_path / "table.npz", inputs=inputs, targets=targets)
    table = load_table(str(tmp_path / "table.npz"))
    assert table.inputs.dtype == table.targets.dtype == np.float64
    np.testing.assert_array_equal(table.inputs, inputs)
    np.testing.assert_array_equal(table.targets, targets)


@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_an_environment_runs_on_a_users_file(kind, write_csv, tmp_path):
    path, target = write_csv(), "row"
    if kind == "npz":
        table = load_table(path, target)
        path, target = str(tmp_path / "table.npz"), None
        np.savez(path, inputs=table.inputs, targets=table.targets)
    outputs = []
    env = gym.make(ID, dataset=path, target=target, max_steps=20, validate_every=5)
    observation, _ = env.reset(seed=0)
    for step in range(20):
        observation, _, terminated, _, info = env.step(step % 2)
        outputs.append(observation)
    assert terminated
    assert 0 < info["score"] < 10
    assert np.isfinite(outputs).all()


# Files that cannot be used: one line that names the file and the culprit


TABLE = "a,b,c\n" + "".join(f"{i},{2 * i},{i % 7}\n" for i in range(30))


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


INPUTS, TARGETS = np.arange(60.0).reshape(30, 2), np.arange(30.0)
LONG = np.zeros(30, [(f"{i}", "f8") for i in range(999)])
GOOD_NPZ = npz(inputs=INPUTS, targets=TARGETS)
BAD_FILES = {
    "a column of words": ("x.csv", TABLE + "1,red,2\n", "'b'.*'red'"),
    "NaN": ("x.csv", TABLE + "1,nan,2\n", "'b'"),
    "infinity": ("x.csv", TABLE + "1,2,inf\n", "'c'"),
    "an empty field": ("x.csv", TABLE + "1,,2\n", "'b'"),
    "no bytes": ("x.csv", "", "0 rows"),
    "a header alone": ("x.csv", "a,b\n", "0 rows"),
    "24 rows": ("x.csv", TABLE[: TABLE.index("24,48")], "24 rows.* 25 "),
    "one column": ("x.csv", "a\n" + "1\n2\n" * 20, "0 features"),
    "a constant target": (
        "x.csv",
        "a,b\n" + "".join(f"{i},1\n" for i in range(30)),
        "target.*constant",
    ),
    "a constant target that rounds": (
        "x.csv",
        "a,b\n" + "".join(f"{i},0.1\n" for i in range(30)),
        "target.*constant",
    ),
    "a short row": ("x.csv", TABLE + "1,2\n", "2 fields.* 3"),
    "a long row": ("x.csv", TABLE + "1,2,3,4\n", "4 fields.* 3"),
    "bytes that are no text": ("x.csv", b"\x81" + TABLE.encode(), "UTF-8.*Windows-1252"),
    "a field without end": ("x.csv", TABLE + "1," + "9" * 200_000 + ",2\n", "field"),
    "an NPZ without targets": ("x.npz", npz(inputs=INPUTS), "'targets'"),
    "an NPZ without inputs": ("x.npz", npz(X=INPUTS, targets=TARGETS), "'inputs'.* X"),
    "an NPZ of objects": ("x.npz", npz(inputs=INPUTS.astype(object), targets=TARGETS), "inputs"),
    "an NPZ of words": (
        "x.npz",
        npz(inputs=INPUTS, targets=np.array(["red"] * 30)),
        "'targets'.*dtype",
    ),
    "an NPZ of records": (
        "x.npz",
        npz(inputs=np.zeros(30, [("a", "f8"), ("b", "f8")]), targets=TARGETS),
        "inputs",
    ),
    "an NPZ of complex numbers": ("x.npz", npz(inputs=INPUTS + 1j, targets=TARGETS), "inputs"),
    "an NPZ with a long header": ("x.npz", npz(inputs=LONG, targets=TARGETS), "inputs"),
    "an NPZ with NaN": ("x.npz", npz(inputs=INPUTS, targets=TARGETS * np.nan), "targets.* row 0"),
    "an NPZ of another length": (
        "x.npz",
        npz(inputs=INPUTS, targets=TARGETS[:29]),
        r"\(30, 2\), \(29,\)",
    ),
    "an NPZ with a column of targets": (
        "x.npz",
        npz(inputs=INPUTS, targets=TARGETS[:, None]),
        r"\(30, 1\)",
    ),
    "an NPZ with flat inputs": ("x.npz", npz(inputs=TARGETS, targets=TARGETS), r"inputs.*\(30,\)"),
    "an NPZ with a constant target": (
        "x.npz",
        npz(inputs=INPUTS, targets=TARGETS * 0 + 0.1),
        "target.*constant",
    ),
    "an NPZ of no bytes": ("x.npz", b"", "inputs"),
    "an NPZ cut off": ("x.npz", GOOD_NPZ[: len(GOOD_NPZ) // 2], "inputs"),
    "an NPZ with damaged bytes": (
        "x.npz",
        GOOD_NPZ.replace(TARGETS.tobytes(), TARGETS.tobytes()[::-1]),
        "inputs",
    ),
    "an NPY called NPZ": ("x.npz", npy(INPUTS), "inputs"),
    "text called NPZ": ("x.npz", TABLE, "inputs"),
    "another kind of file": ("x.xlsx", TABLE, r"\.csv"),
}


@pytest.mark.parametrize(("name", "content", "culprit"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_that_cannot_be_used_gives_one_line_that_names_it_and_the_culprit(
    name, content, culprit, tmp_path
):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert_refused(lambda: load_table(str(path)), str(path), culprit)
    assert_refused(lambda: gym.make(ID, dataset=str(path)), str(path), culprit)
    gc.collect()  # a file left open warns here, not in a later test


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for name in ("missing.csv", "missing.npz", "missing.CSV.gz", "missing.parquet"):
        assert_refused(lambda path=tmp_path / name: load_table(str(path)), name, "no such file")
    assert_refused(lambda: load_table(str(tmp_path / "folder.csv")), "folder.csv", "is a folder")


def test_an_unknown_target_is_refused_with_the_columns(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    assert_refused(lambda: load_table(str(path), "d"), str(path), "'d'.* a, b, c")


def test_the_column_named_in_an_error_is_that_of_the_file_whichever_is_the_target(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(TABLE + "1,nan,2\n")
    assert_refused(lambda: load_table(str(path), "a"), str(path), "'b'")


def test_a_target_is_refused_where_there_are_no_columns_to_choose_from(tmp_path):
    path = tmp_path / "table.npz"
    path.write_bytes(GOOD_NPZ)
    for dataset in ("diabetes", str(path)):
        assert_refused(lambda dataset=dataset: load_table(dataset, "bmi"), dataset, "target")
    with pytest.raises(ValueError, match=r"^.*target.*$"):
        gym.make(ID, dataset="synthetic", target="bmi")


def test_a_mistyped_name_is_answered_with_the_names_of_all_bundled_data():
    with pytest.raises(
        ValueError, match=r"^dataset='synthetc': .*synthetic.*diabetes|diabetes.*synthetic"
    ) as caught:
        gym.make(ID, dataset="synthetc")
    assert "\n" not in str(caught.value)


def assert_refused(call, file, culprit):
    with pytest.raises(ValueError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert file in message
    assert re.search(culprit, message), message


# Pickles


class Payload:
    def __init__(self, marker: pathlib.Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return pathlib.Path.touch, (self.marker,)


@pytest.mark.parametrize(
    "whole_file", [True, False], ids=["a pickle called NPZ", "an array of objects"]
)
def test_nothing_in_an_npz_is_unpickled(whole_file, tmp_path):
    marker, path = tmp_path / "ran", tmp_path / "table.npz"
    objects = np.array([[Payload(marker), 1.0]] * 30, dtype=object)
    path.write_bytes(
        pickle.dumps(Payload(marker)) if whole_file else npz(inputs=objects, targets=TARGETS)
    )

    assert_refused(lambda: load_table(str(path)), str(path), "inputs")
    assert not marker.exists()

    if whole_file:  # the payload is live
        np.load(path, allow_pickle=True)
    else:
        with np.load(path, allow_pickle=True) as file:
            file["inputs"]
    assert marker.exists()
