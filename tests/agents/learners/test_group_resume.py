"""What a group training keeps: it goes on after a kill, and reading it runs no code."""

import dataclasses
import json
import shutil

import gymnasium
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from agents.command_line import main
from agents.commands.train import train as train_command
from agents.configuration import TrainingConfiguration
from agents.evaluation.costs import training_runs
from agents.learners.checkpoints import CHECKPOINT, WEIGHTS
from agents.learners.group_policy_gradient import GroupLearner
from agents.learners.groups.base_files import (
    SCHEDULE,
    as_array,
    from_array,
    load_base,
    load_training_runs,
    save_base,
)
from agents.policies.trained.trained_policy import TrainedPolicy
from agents.run_folders import load_configuration, save_configuration
from agents.schedule_vectors import plain
from autoloss_gym.controls.schedule import Schedule
from autoloss_gym.tools.arguments import build

ID = "AutoLoss/QuadraticRegression-v1"
SMALL = {"dimension": 4, "num_samples": 20, "max_steps": 20, "control": "schedule"}
SEARCHED = {"copies": 4, "search_runs": 48, "search_problems": 1, "search_knots": 2}


class Killed(Exception):
    """Stands for the end of the process."""


def configuration(**changes):
    defaults = {
        "algo": "group",
        "env": ID,
        "env_kwargs": SMALL,
        "num_envs": 8,
        "n_timesteps": 4 * 8 * 3,
        "seed": 3,
        "hyperparameters": SEARCHED,
        "checkpoint_every": 24,
    }
    return TrainingConfiguration(**(defaults | changes))


def train(folder, saves=None, **changes):
    """Train in `folder`; with `saves`, only until so many checkpoints have been written."""
    folder.mkdir(exist_ok=True)
    save_configuration(folder, configuration(**changes))
    learner = GroupLearner(configuration(**changes))
    save, written = learner._save, []

    def count(where):
        save(where)
        written.append(where)
        if len(written) == saves:
            raise Killed

    learner._save = count
    if saves is None:
        learner.train(folder)
        return
    with pytest.raises(Killed):
        learner.train(folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("group") / "whole"
    train(folder)
    return folder


# In the search, at its end, after the measurement, and between two updates.
@pytest.mark.parametrize("saves", [1, 3, 4, 6])
def test_a_training_goes_on_from_every_phase_to_the_same_bits(saves, whole, tmp_path):
    train(tmp_path, saves)
    torch.manual_seed(999)  # another process has other generators
    np.random.seed(999)
    train(tmp_path)
    expected, found = load_file(whole / WEIGHTS), load_file(tmp_path / WEIGHTS)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert (whole / SCHEDULE).read_bytes() == (tmp_path / SCHEDULE).read_bytes()
    assert expected["action_weights"].any()


def test_a_finished_training_is_left_as_it_is_and_made_whole_again(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "copy")
    before = (whole / WEIGHTS).read_bytes()
    (tmp_path / "copy" / WEIGHTS).unlink()
    (tmp_path / "copy" / SCHEDULE).unlink()
    train(tmp_path / "copy")
    assert (tmp_path / "copy" / WEIGHTS).read_bytes() == before
    assert (tmp_path / "copy" / SCHEDULE).read_bytes() == (whole / SCHEDULE).read_bytes()


def test_the_budget_is_counted_in_training_runs(whole):
    stored = json.loads((whole / SCHEDULE).read_text())
    assert stored["training_runs"] == {"search": 48, "measurement": 8, "updates": 32}
    header, *rows = (whole / "progress.csv").read_text().splitlines()
    column = header.split(",").index("rollout/training_runs")
    assert [float(row.split(",")[column]) for row in rows] == [64, 72, 80, 88]
    policy = TrainedPolicy(whole, ID)
    envs = gymnasium.make_vec(ID, **policy.env_arguments, max_steps=20)
    policy.load(envs)
    assert training_runs(policy, envs) == 88


def test_a_given_base_is_taken_as_it_is(tmp_path):
    base = {"weights": [[1.0, 0.25], [1.0, 2.0]], "step_size": [2.0, 0.5]}
    train(tmp_path, env_kwargs=SMALL | {"control_arguments": {"base": base}})
    assert load_base(tmp_path) == base
    assert json.loads((tmp_path / SCHEDULE).read_text())["training_runs"]["search"] == 0


def test_without_a_search_the_base_is_plain_training(tmp_path):
    train(tmp_path, hyperparameters={"copies": 4, "search_runs": 0})
    assert load_base(tmp_path) == {"weights": [[1.0, 1.0]], "step_size": [1.0]}


def test_a_search_finds_larger_steps_where_steps_are_too_small(tmp_path):
    settings = configuration(
        env_kwargs=SMALL | {"learning_rate": 1e-3},
        n_timesteps=24,
        hyperparameters=SEARCHED | {"search_runs": 192, "search_problems": 2},
    )
    learner = GroupLearner(settings)
    learner.train(tmp_path)
    assert min(load_base(tmp_path)["step_size"]) > 1.0


def test_a_trained_policy_brings_the_base_and_what_it_observes(whole):
    policy = TrainedPolicy(whole, ID)
    arguments = policy.env_arguments
    assert arguments["control"] == "schedule"
    assert arguments["control_arguments"] == {"base": load_base(whole)}


def test_schedules_are_stored_as_they_are(tmp_path):
    schedule = Schedule(weights=((1.0, 0.1), (1.0, 3.0)), step_size=(0.3, 7.0))
    save_base(tmp_path, schedule, {"search": 1, "updates": 2})
    assert build(Schedule, load_base(tmp_path)) == schedule
    assert load_training_runs(tmp_path) == 3
    save_base(tmp_path, schedule, {"search": -1})
    with pytest.raises(ValueError, match="expected each a whole number"):
        load_training_runs(tmp_path)
    assert from_array(as_array(schedule, 2)) == schedule
    assert from_array(as_array(None, 2)) is None
    assert plain(schedule)["weights"] == [[1.0, 0.1], [1.0, 3.0]]


def test_a_training_without_a_first_save_is_refused_in_one_line(tmp_path):
    save_configuration(tmp_path, configuration())
    with pytest.raises(ValueError, match=r"holds no schedule\.json: its training was stopped"):
        TrainedPolicy(tmp_path, ID)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"weights": [[1.0], [1.0, 2.0]]}, "expected as many rows"),
        ({"weights": "canary.Run"}, "expected a list"),
        ({"training_runs": [1]}, "expected a mapping"),
    ],
)
def test_a_schedule_that_is_none_is_refused_in_one_line(changed, expected, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "copy")
    path = tmp_path / "copy" / SCHEDULE
    stored = json.loads(path.read_text()) | changed
    del stored["checksum"]
    path.write_text(json.dumps(stored))
    with pytest.raises(ValueError, match=expected):
        TrainedPolicy(tmp_path / "copy", ID)


def test_a_checkpoint_of_another_training_is_refused(whole, tmp_path):
    shutil.copy(whole / CHECKPOINT, tmp_path)
    other = dataclasses.replace(configuration(), hyperparameters=SEARCHED | {"blind": True})
    with pytest.raises(ValueError, match="delete the file to start over"):
        GroupLearner(other).train(tmp_path)


def test_the_command_fills_in_what_the_algorithm_is_made_for(tmp_path, capsys):
    given = ["--env", ID, "--algo", "group", "--num-envs", "8", "--n-timesteps", "24"]
    given += ["-P", "copies=4", "search_runs=0", "-f", str(tmp_path), "--env-kwargs"]
    given += [f"{name}={value}" for name, value in SMALL.items() if name != "control"]
    assert main(lambda: train_command(given)) == 0
    folder = capsys.readouterr().out.strip()
    chosen = load_configuration(tmp_path / "group" / f"{ID.replace('/', '-')}_1")
    assert folder.endswith("_1")
    assert chosen.env_kwargs["control"] == "schedule"
    assert chosen.env_kwargs["features"] == "log"


def test_an_argument_that_does_not_fit_leaves_no_folder(tmp_path, capsys):
    given = ["--env", ID, "--algo", "group", "-P", "copies=7", "-f", str(tmp_path / "runs")]
    assert main(lambda: train_command(given)) == 2
    assert "expected a multiple of copies=7" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
