import numpy as np
import pytest
import torch

from autoloss_gym.optimizers import SGD
from studies.step_size.learned import measure, read_curves, task_with
from studies.step_size.learned_playing import (
    CURVES,
    calibration_error,
    mean_loss,
    play,
    problem_keys,
)
from studies.step_size.learned_report import nominal, write
from studies.step_size.learned_settings import QUICK, cells


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    measure(folder, QUICK, print)
    return folder


def test_the_study_writes_its_tables_and_pictures(measured):
    text = write(measured, measured, QUICK)
    assert text.count("### ") == 4
    for name in ("step_size_learned.png", "step_size_learned_flat.png"):
        assert (measured / name).read_bytes().startswith(b"\x89PNG")


def test_what_is_there_is_not_made_again(measured):
    before = {path: path.stat().st_mtime_ns for path in measured.glob("*.safetensors")}
    lines = []
    measure(measured, QUICK, lines.append)
    assert lines == []
    assert before == {path: path.stat().st_mtime_ns for path in measured.glob("*.safetensors")}


def test_curves_have_a_row_for_each_step_and_a_column_for_each_problem(measured):
    curves = read_curves(measured / "curves_train_unroll_0_1.safetensors")
    assert {name: curve.shape for name, curve in curves.items()} == dict.fromkeys(CURVES, (3, 3))


def test_a_training_that_follows_another_comes_after_it():
    names = [cell.name for cell in cells()]
    for cell in cells():
        assert not cell.follows or names.index(cell.follows) < names.index(cell.name)


def test_splits_and_draws_share_no_run_and_draws_share_problems():
    train, test, again = (
        problem_keys("train", 3),
        problem_keys("test", 3),
        problem_keys("test", 3, 1),
    )
    assert not np.intersect1d(train.problem, test.problem).size
    assert torch.equal(test.problem, again.problem)
    assert not np.intersect1d(test.run, again.run).size


def test_descent_lowers_the_training_loss_and_its_mean():
    task = task_with(0.0, QUICK)
    keys = problem_keys("train", 2)
    curves = play(task, SGD(learning_rate=0.3), keys, (0, 40))
    assert (curves["train_loss"][1] < 0.8 * curves["train_loss"][0]).all()
    slow, fast = (
        mean_loss(task, SGD(learning_rate=rate), keys, "training", 20) for rate in (1e-3, 0.3)
    )
    assert fast < slow


def test_the_calibration_error_is_that_computed_by_hand():
    """Sure by .95 and right half of the time, and sure by .65 and always right."""
    confidence = torch.tensor([[0.95, 0.95], [0.65, 0.65]])
    right = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    torch.testing.assert_close(calibration_error(confidence, right), torch.tensor([0.45, 0.35]))


def test_one_run_in_a_few_lies_between_the_others_by_chance():
    draws = np.random.default_rng(0).normal(size=(20_000, QUICK.samples + 1))
    others, one = draws[:, 1:], draws[:, 0]
    covered = (others.min(axis=1) <= one) & (one <= others.max(axis=1))
    assert covered.mean() == pytest.approx(nominal(QUICK), abs=0.02)
