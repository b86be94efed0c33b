"""Folders in use are refused, and a data set that has changed is said."""

import signal
import subprocess
import sys
import time

import gymnasium
import numpy as np
import pytest

from agents.commands.evaluate import evaluate
from agents.commands.train import train
from autoloss_gym.data.tables import load_table
from autoloss_gym.tools.files import LOCK, locked
from tests.support.paths import ROOT

ID = "AutoLoss/Beale-v1"
SMALL = ["--env", ID, "--env-kwargs", "max_steps=20"]
LONG = {
    train: ["--n-timesteps", "1e9", "--num-envs", "2", "--algo", "reinforce", "-f"],
    evaluate: ["--episodes", "100000", "--policies", "1:1:1", "random:0.2,0.3,0.5", "-o"],
}


@pytest.mark.parametrize("command", LONG)
def test_of_two_at_once_on_one_folder_one_works_and_the_other_says_so(command, tmp_path):
    """And where the first is killed, the folder is free."""
    name = "train_agent.py" if command is train else "evaluate.py"
    arguments = [sys.executable, ROOT / name, *SMALL, *LONG[command], tmp_path]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        while not (locks := list(tmp_path.rglob(LOCK))):
            assert first.poll() is None
            time.sleep(0.05)
        folder = locks[0].parent
        while not list(folder.glob("c*.json")):
            time.sleep(0.05)
        with pytest.raises(ValueError, match=f"is in use by process {first.pid}: wait for its end"):
            command(["--resume", str(folder)])
        assert first.poll() is None
        first.send_signal(signal.SIGKILL)
    with locked(folder):
        pass


# Data


@pytest.fixture
def table(tmp_path):
    """A function that writes a table of its own numbers for each seed, under the same name."""

    def write(seed):
        numbers = np.random.default_rng(seed).normal(size=(40, 3))
        np.savetxt(tmp_path / "x.csv", numbers, delimiter=",", header="a,b,y", comments="")
        getattr(load_table, "cache_clear", lambda: None)()
        return ["--env", "AutoLoss/QuadraticRegression-v1", "--env-kwargs",
                f"dataset={tmp_path / 'x.csv'}", "max_steps=10"]  # fmt: skip

    return write


def trained_on(arguments, folder, capsys):
    brief = ["--algo", "reinforce", "--num-envs", "2", "--n-timesteps", "40", "-f", str(folder)]
    train([*arguments, *brief])
    return capsys.readouterr().out.strip()


def test_a_training_does_not_go_on_with_another_table(table, tmp_path, capsys):
    folder = trained_on(table(1), tmp_path, capsys)
    table(2)
    expected = r"the data set is not the one that it began with, its digest was \w+ and is \w+: put"
    with pytest.raises(ValueError, match=expected) as caught:
        train(["--resume", folder])
    assert folder in str(caught.value)
    table(1)
    train(["--resume", folder])


def test_an_evaluation_does_not_go_on_with_another_table(table, tmp_path, capsys):
    arguments = ["--episodes", "2", "--policies", "1:1", "-o", str(tmp_path / "results")]
    evaluate([*table(1), *arguments])
    (folder,) = (tmp_path / "results").iterdir()
    first = capsys.readouterr().out
    table(2)
    with pytest.raises(ValueError, match="the data set is not the one that it began with"):
        evaluate(["--resume", str(folder)])
    table(1)
    evaluate(["--resume", str(folder)])
    assert capsys.readouterr().out == first


def test_a_table_that_has_changed_since_the_training_is_said_under_the_results(
    table, tmp_path, capsys
):
    folder = trained_on(table(1), tmp_path, capsys)
    policies = ["--policies", f"reinforce:{folder}", "1:1", "--episodes", "2", "-o", str(tmp_path)]
    remark = "reinforce was trained on data that have changed since."
    evaluate([*table(1), *policies])
    assert remark not in capsys.readouterr().out
    evaluate([*table(2), *policies])
    assert remark in capsys.readouterr().out


def test_every_data_set_has_a_digest_and_made_data_have_none():

    def digest(name, **arguments):
        return gymnasium.make_vec(f"AutoLoss/{name}", **arguments).task.data_digest

    found = [
        digest("QuadraticRegression-v1", dataset="diabetes"),
        digest("MLPClassification-v1", dataset="breast_cancer"),
        digest("MLPClassification-v1", dataset="digits"),
    ]
    assert len(set(found)) == 3
    assert all(found)
    assert digest("QuadraticRegression-v1") == digest("MLPClassification-v1") == ""
