"""Problems drawn from several tables: what is drawn, what is not told, and which rows stay apart."""

import math

import gymnasium as gym
import numpy as np
import pytest
import torch

import autoloss_gym  # noqa: F401 (registers the ids)
from autoloss_gym import random
from autoloss_gym.core.task import Keys
from autoloss_gym.data.partition import five_way_partition
from autoloss_gym.data.table_problems import KINDS
from autoloss_gym.data.tables import load_table
from autoloss_gym.losses.fitting import relative_log_risk
from autoloss_gym.tasks.supervised.mlp_classification import MLPClassification
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from autoloss_gym.tools import tree

CLASSIFICATION, REGRESSION = "AutoLoss/MLPClassification-v1", "AutoLoss/QuadraticRegression-v1"
PARTS = ("training", "validation", "test")
TASKS = {MLPClassification: CLASSIFICATION, QuadraticRegression: REGRESSION}
each_task = pytest.mark.parametrize("kind", TASKS, ids=lambda kind: kind.__name__)


def keys(num_envs, split="train", first=0):
    problem = random.fold_in(torch.arange(first, first + num_envs), "test")
    return Keys(problem=problem, run=random.fold_in(problem, "run"), split=split)


def numbered(tmp_path, classes=4, rows=400):
    """A table whose first input is the number of the row, whose target is the class."""
    number = np.arange(rows, dtype=float)
    path = tmp_path / "numbered.npz"
    np.savez(path, inputs=np.stack([number, number], axis=1), targets=number % classes)
    return str(path), number


def row_numbers(inputs, trained):
    """The rows of a part of one run, by their first input, which is standardised."""
    mean, deviation = trained.mean(), trained.std()
    return set(np.rint(inputs[:, 0].double().numpy() * deviation + mean).astype(int))


@each_task
def test_a_problem_has_the_same_bits_alone_and_in_batches_and_returns_with_its_key(kind):
    task = kind(dataset="tables")
    many = tree.leaves(task.make_data(keys(16)))
    for num_envs in (1, 2, 7):
        few = tree.leaves(task.make_data(keys(num_envs, first=5)))
        for expected, found in zip(many, few, strict=True):
            torch.testing.assert_close(found, expected[5 : 5 + num_envs], rtol=0, atol=0)


@pytest.mark.parametrize("id", TASKS.values())
def test_a_run_gets_the_same_bits_alone_and_in_a_batch(id):
    def play(first, num_envs):
        arguments = {"preset": "tables", "max_steps": 20, "validate_every": 10}
        envs = gym.make_vec(id, num_envs=num_envs, **arguments)
        observations = [envs.reset(seed=first)[0]]
        for step in range(25):
            actions = np.array([(first + i + step) % 2 for i in range(num_envs)])
            observations.append(envs.step(actions)[0])
        return observations

    for alone, many in zip(play(3, 1), play(0, 5), strict=True):
        np.testing.assert_array_equal(alone[0], many[3])


def test_tables_kinds_and_ranges_are_drawn_evenly_and_within_their_bounds():
    drawn = MLPClassification(dataset="tables").make_data(keys(800))["drawn"]
    for name, count in (("table", 4), ("kind", len(KINDS))):
        shares = torch.bincount(drawn[name], minlength=count) / 800
        assert len(shares) == count
        assert (shares - 1 / count).abs().max() < 0.05
    digits = drawn["table"] == 1
    expected = {"label_noise": (0.0, 0.4), "num_columns": (2, 32), "num_samples": (16, 160)}
    for name, (low, high) in expected.items():
        values = drawn[name][digits].double()
        near = 0.08 * (high - low)
        assert low <= values.min() < low + near
        assert high - near < values.max() <= high
        assert abs(values.mean() - (low + high) / 2) < near
    assert drawn["num_columns"][drawn["table"] == 3].max() == 4  # iris has no more


def test_pair_rest_and_groups_are_two_classes_one_and_all_others_and_two_halves(tmp_path):
    path, _ = numbered(tmp_path)
    tables = {"names": [path], "num_samples": 1000, "num_test": 500, "num_columns": 1}
    task = MLPClassification(dataset="tables", tables=tables)
    data = task.make_data(keys(60))
    share, size = data["test"]["targets"].double().mean(dim=1), data["drawn"]["num_samples"]
    whole = len(five_way_partition(400)["controller_train"])
    for kind, (expected, rows) in enumerate([(1 / 2, 1 / 2), (1 / 4, 1), (1 / 2, 1)]):
        mine = data["drawn"]["kind"] == kind
        assert mine.any()
        assert (share[mine] - expected).abs().max() < 0.15
        assert (size[mine].double() / whole - rows).abs().max() < 0.15


def test_held_out_rows_are_never_trained_on_and_the_test_part_serves_the_test_split_alone(tmp_path):
    path, number = numbered(tmp_path)
    parts = five_way_partition(len(number))
    roles = {
        "train": ("controller_train", "controller_validation", "validation"),
        "validation": ("train", "validation", "controller_validation"),
        "test": ("train", "validation", "test"),
    }
    sizes = {"num_samples": 1000, "num_validation": 500, "num_test": 500}
    tables = {"names": [path], "num_columns": 1, "target_noise": 0, **sizes}
    task = QuadraticRegression(dataset="tables", tables=tables)
    for split, expected in roles.items():
        data = task.make_data(keys(4, split))
        for row in range(4):
            for part, role in zip(PARTS, expected, strict=True):
                found = row_numbers(data[part]["inputs"][row], number[parts[expected[0]]])
                assert found == set(parts[role])


def test_rows_that_are_too_few_follow_each_other_again_with_their_noise(tmp_path):
    path, _ = numbered(tmp_path, classes=2)
    task = MLPClassification(
        dataset="tables", tables={"names": [path], "num_samples": [10, 30], "label_noise": 0.3}
    )
    data = task.make_data(keys(8))
    for row, size in enumerate(data["drawn"]["num_samples"].tolist()):
        assert 10 <= size <= 30
        for values in (leaf[row] for leaf in data["training"].values()):
            torch.testing.assert_close(values[size:], values[: 30 - size][: len(values[size:])])
        assert len(torch.unique(data["training"]["inputs"][row], dim=0)) == size


def test_labels_are_wrong_in_training_and_validation_at_the_stated_rate_and_never_in_test():
    def draw(noise):
        names = ("digits", "breast_cancer")
        tables = {"names": names, "label_noise": noise, "num_samples": 100}
        return MLPClassification(dataset="tables", tables=tables).make_data(keys(200))

    clean, noisy = draw(0), draw(0.2)
    for part in ("training", "validation"):
        wrong = clean[part]["targets"] != noisy[part]["targets"]
        assert abs(wrong.double().mean() - 0.2) < 0.01
    torch.testing.assert_close(clean["test"]["targets"], noisy["test"]["targets"], rtol=0, atol=0)
    torch.testing.assert_close(clean["test"]["inputs"], noisy["test"]["inputs"], rtol=0, atol=0)


def test_noise_of_targets_has_the_stated_deviation_in_training_and_validation_alone():
    def draw(noise):
        tables = {"target_noise": noise}
        return QuadraticRegression(dataset="tables", tables=tables).make_data(keys(200))

    clean, noisy = draw(0), draw(0.5)
    for part in ("training", "validation"):
        noise = noisy[part]["targets"] - clean[part]["targets"]
        assert abs(noise.std() - 0.5) < 0.02
    torch.testing.assert_close(clean["test"]["targets"], noisy["test"]["targets"], rtol=0, atol=0)


@each_task
def test_inputs_are_few_columns_standardised_on_the_training_rows_and_normal_noise(kind):
    data = kind(dataset="tables", tables={"num_columns": 3}).make_data(keys(300))
    training = data["training"]["inputs"]
    columns, noise = training[:, :, :3], training[:, :, 3:]
    assert noise.shape == (300, 160, 29)
    # Cut off at five deviations, columns may have a mean that is not quite 0.
    torch.testing.assert_close(columns.mean(dim=1), torch.zeros(300, 3), atol=0.2, rtol=0)
    assert columns.abs().max() == 5
    assert abs(noise.mean()) < 0.01
    assert abs(noise.std() - 1) < 0.01


def test_the_score_is_the_log_of_the_risk_relative_to_the_labels_shares():
    task = MLPClassification(dataset="tables")
    state = task.reset(keys(6))
    data, score = state.data, task.score(state)
    logits = task._logits(task.unpack(state.parameters), data["test"]["inputs"])
    for row in range(6):
        size = int(data["drawn"]["num_samples"][row])
        share = (int(data["training"]["targets"][row, :size].sum()) + 1) / (size + 2)
        test = data["test"]["targets"][row]
        ones = float(test.double().mean())
        reference = -(ones * math.log(share) + (1 - ones) * math.log(1 - share))
        risk = float(torch.nn.functional.cross_entropy(logits[row], test))
        expected = math.log((risk + 0.05) / (reference + 0.05))
        assert float(score[row, 0]) == pytest.approx(expected, rel=1e-3, abs=1e-5)
        wrong = logits[row].argmax(dim=1) != test
        assert float(score[row, 1]) == pytest.approx(float(wrong.double().mean()))


def test_the_score_of_a_regression_is_relative_to_the_mean_of_the_training_targets():
    data = QuadraticRegression(dataset="tables").make_data(keys(5))
    guess = data["training"]["targets"].mean(dim=1, keepdim=True)
    expected = ((data["test"]["targets"] - guess) ** 2).mean(dim=1)
    torch.testing.assert_close(data["reference"], expected)


def test_relative_log_risk_is_zero_at_the_reference_and_bounded_on_both_sides():
    risk = torch.tensor([0.5, 0.0, 1e30, 0.225])
    found = relative_log_risk(risk, torch.full((4,), 0.5))
    expected = torch.tensor([0.0, np.log(0.05 / 0.55), 5.0, np.log(0.5)])
    torch.testing.assert_close(found, expected, check_dtype=False)


def test_named_tables_are_the_only_ones_and_a_file_is_one_of_them(tmp_path):
    path, _ = numbered(tmp_path)
    env = gym.make(CLASSIFICATION, preset="tables", tables=["wine", path])
    task = env.unwrapped.task
    assert [table.inputs.shape for table in task.family] == [(178, 13), (400, 2)]
    assert task.instances == "problems"
    assert set(task.make_data(keys(50))["drawn"]["table"].tolist()) == {0, 1}
    other = MLPClassification(dataset="tables", tables=("wine", "iris"))
    assert len(task.data_digest) == 64
    assert task.data_digest != other.data_digest
    assert other == MLPClassification(dataset="tables", tables=["wine", "iris"])
    assert "wine" in task.remarks("test")[0]
    assert other.remarks("test")[0].endswith("the splits differ in rows, not in tables.")


def test_a_regression_predicts_no_class_and_never_from_the_target_itself():
    task = QuadraticRegression(dataset="tables", tables={"names": ["iris", "breast_cancer"]})
    data = task.make_data(keys(300))
    columns = task.family[0].inputs.shape[1], task.family[1].inputs.shape[1]
    for table, count in enumerate(columns):
        targets = data["drawn"]["target"][data["drawn"]["table"] == table]
        assert 0 <= targets.min() <= targets.max() < count
    targets = data["test"]["targets"][:, :, None]
    assert ((data["test"]["inputs"] - targets).abs().amax(dim=1) > 1e-3).all()
    diabetes = QuadraticRegression(dataset="tables", tables=["diabetes"]).make_data(keys(200))
    assert diabetes["drawn"]["target"].max() == load_table("diabetes").inputs.shape[1]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"tables": ["wine", "irs"]}, "did you mean 'iris'"),
        ({"tables": ["wine", "wine"]}, "'wine' is there twice"),
        ({"tables": "wine"}, "expected a list of names"),
        ({"tables": ["diabetes"]}, "unknown dataset 'diabetes'"),
        ({"tables": {"label_noise": 0.7}}, "a number from 0 to 0.5"),
        ({"tables": {"num_samples": [90, 20]}}, "expected the smaller number first"),
        ({"tables": {"num_columns": 40}}, "expected at most dimension=32"),
        ({"tables": {"num_colums": 3}}, "did you mean 'num_columns'"),
        ({"tables": ["wine"], "dataset": "digits"}, "give dataset='tables' as well"),
        ({"target": "y"}, "no columns to choose from"),
        ({"tables": ["missing.csv"]}, "missing.csv"),
    ],
    ids=str,
)
def test_bad_arguments_are_one_line(arguments, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        gym.make(CLASSIFICATION, **{"dataset": "tables", **arguments})
    assert "\n" not in str(caught.value)


def test_a_table_without_a_column_of_numbers_is_no_regression(tmp_path):
    inputs = np.random.default_rng(0).integers(0, 3, size=(100, 3)).astype(float)
    np.savez(tmp_path / "codes.npz", inputs=inputs, targets=inputs[:, 0])
    with pytest.raises(ValueError, match=r"codes\.npz.*no column has more than 20 values"):
        QuadraticRegression(dataset="tables", tables=[str(tmp_path / "codes.npz")])
