"""The command `autoloss tune`, used as a stranger would."""

import importlib.util
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.numpy

from agents.commands.tune import tune
from tests.support.paths import ROOT
from tests.support.prepared import run_python

ID = "AutoLoss/QuadraticRegression-v1"
SMALL = ["--env-kwargs", "dimension=4", "num_samples=20", "max_steps=10"]
BRIEF = "default: {num_envs: 4, n_timesteps: 256, n_steps: 16, batch_size: 32, n_epochs: 2}\n"
CONSOLE = ["-m", "agents.commands.console"]
needs_optuna = pytest.mark.skipif(
    importlib.util.find_spec("optuna") is None, reason="optuna is not installed"
)


def autoloss(*arguments):
    return run_python(*CONSOLE, *arguments)


def one_line(result):
    assert result.returncode == 2, result.stdout + result.stderr
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1
    return result.stderr


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """The arguments of a small study."""
    folder = tmp_path_factory.mktemp("tuning")
    (folder / "start.yml").write_text(BRIEF)
    own = ["--algo", "ppo", "--conf-file", folder / "start.yml", "--episodes", 4]
    return ["tune", "--env", ID, *SMALL, *own, "-o", folder]


@pytest.fixture(scope="module")
def finished(command):
    """What a study of three trials has printed."""
    result = autoloss(*command, "--trials", 3, "--confirm-seeds", 2)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def folder(finished):
    return Path(finished.splitlines()[-1]).parent


def test_without_optuna_one_line_says_how_to_install_it():
    program = (
        "import sys; sys.modules['optuna'] = None; from agents.commands.console import console; "
        f"sys.argv = ['autoloss', 'tune', '--env', {ID!r}]; sys.exit(console())"
    )
    line = one_line(run_python("-c", program))
    assert line == (
        "autoloss tune: error: optuna is needed here: pip install 'autoloss_gym[tune]'\n"
    )


@pytest.mark.parametrize("algo", ["ppoo", "learned_optimizer"])
def test_an_unknown_algorithm_and_one_without_a_policy_are_one_line(algo):
    line = one_line(autoloss("tune", "--env", ID, "--algo", algo))
    assert f"unknown algorithm with a policy '{algo}'" in line


def test_help_and_errors_answer_without_pytorch_and_optuna():
    program = (
        "import sys; from agents.commands.tune import tune\n"
        f"try: tune(['--env', {ID!r}, '--trials', '0'], 'tune')\n"
        "except SystemExit: print(not {'torch', 'optuna'} & sys.modules.keys())"
    )
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "True\n"


@needs_optuna
def test_an_algorithm_that_does_not_fit_is_refused_before_a_folder_is_made(tmp_path):
    line = one_line(autoloss("tune", "--env", ID, *SMALL, "--algo", "sac", "-o", tmp_path))
    assert "--algo sac needs continuous actions" in line
    assert not list(tmp_path.iterdir())


@needs_optuna
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("learning_rate: lin_3e-4", "learning_rate='lin_3e-4': expected a number above 0"),
        ("batch_size: null", "batch_size=None: expected an integer"),
        ("policy_kwargs: 3", "policy_kwargs=3: expected a mapping"),
    ],
)
def test_a_value_of_a_wrong_kind_to_begin_with_is_refused_before_a_folder_is_made(
    given, expected, tmp_path
):
    start = tmp_path / "start.yml"
    start.write_text(f"default: {{num_envs: 4, n_timesteps: 64, {given}}}\n")
    studies = tmp_path / "studies"
    own = ["--algo", "ppo", "--conf-file", str(start), "-o", str(studies)]
    with pytest.raises(ValueError, match=f"^{expected}"):
        tune(["--env", ID, *SMALL, *own])
    assert not studies.exists()


@needs_optuna
def test_a_study_ends_with_its_trials_a_verdict_and_two_files(finished, folder):
    lines = finished.splitlines()
    assert lines[0].split() == ["trial", "best_score", "settings"]
    rows = [line.split() for line in lines[1:4]]
    assert sorted(row[0] for row in rows) == ["0", "1", "2"]
    assert [row[2:] for row in rows if row[0] == "0"] == [["those", "to", "begin", "with"]]
    scores = [float(row[1]) for row in rows]
    assert scores == sorted(scores)
    assert "3 trials: 3 played to the end" in lines
    assert lines[-3].startswith(("The best settings are ", "No trial was better"))
    assert [Path(line).name for line in lines[-2:]] == ["table.txt", "best.yml"]
    assert (folder / "table.txt").read_text().splitlines() == lines[:-2]


@needs_optuna
def test_a_finished_study_that_is_resumed_says_the_same_again(finished, folder):
    result = autoloss("tune", "--resume", folder)
    assert result.returncode == 0, result.stderr
    assert result.stdout == finished


@needs_optuna
def test_training_by_the_best_settings_repeats_their_trial_bit_for_bit(finished, folder, tmp_path):
    best = finished.splitlines()[1].split()[0]
    own = ["--algo", "ppo", "--conf-file", folder / "best.yml", "-f", tmp_path]
    result = autoloss("train", "--env", ID, *SMALL, *own)
    assert result.returncode == 0, result.stderr
    trained = Path(result.stdout.strip())
    configuration = json.loads((trained / "config.json").read_text())
    tried = json.loads((folder / "trials" / best / "config.json").read_text())
    for name in ("num_envs", "n_timesteps", "hyperparameters", "env_kwargs", "seed"):
        assert configuration[name] == tried[name]
    weights = safetensors.numpy.load_file(trained / "policy.safetensors")
    expected = safetensors.numpy.load_file(folder / "trials" / best / "policy.safetensors")
    assert all((weights[name] == expected[name]).all() for name in expected)


@needs_optuna
def test_a_worker_with_other_settings_is_refused(folder):
    line = one_line(autoloss("tune", "--resume", folder, "--trials", 5))
    assert "--resume reads all arguments from the folder: leave out --trials" in line


@needs_optuna
def test_a_folder_whose_settings_are_not_those_of_its_study_is_refused(folder, tmp_path):
    content = json.loads((folder / "study.json").read_text())
    content["trials"] = 4
    del content["checksum"]
    (tmp_path / "study.json").write_text(json.dumps(content))
    (tmp_path / "journal.log").write_bytes((folder / "journal.log").read_bytes())
    line = one_line(autoloss("tune", "--resume", tmp_path))
    assert "differ in trials: workers of one study have the same settings" in line


@needs_optuna
def test_a_database_is_named_again_by_those_who_join(command, tmp_path):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    result = autoloss(*command, "--trials", 1, "--storage", storage)
    assert result.returncode == 0, result.stderr
    assert "No trial was better than the settings to begin with." in result.stdout
    folder = Path(result.stdout.splitlines()[-1]).parent
    assert "add the --storage that it began with" in one_line(autoloss("tune", "--resume", folder))
    again = autoloss("tune", "--resume", folder, "--storage", storage)
    assert again.stdout == result.stdout
    other = f"sqlite:///{tmp_path / 'other.db'}"
    line = one_line(autoloss("tune", "--resume", folder, "--storage", other))
    assert "holds no study ppo-" in line


@needs_optuna
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_trial_whose_worker_is_ended_is_played_again(command, tmp_path, number):
    own = ["--n-timesteps", 768, "--trials", 2, "--confirm-seeds", 0, "-o", tmp_path]
    words = [sys.executable, *CONSOLE, *command, *own]
    process = subprocess.Popen(list(map(str, words)), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*/*/trials/0/config.json")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate()
    [folder] = tmp_path.glob("*/*")
    if number == signal.SIGTERM:
        end = f"{folder} holds 0 of 2 trials: go on with autoloss tune --resume {folder}"
        assert said.endswith(f"interrupted by SIGTERM; {end}\n")
    result = autoloss("tune", "--resume", folder)
    assert result.returncode == 0, result.stderr
    # Trial 0, the settings to begin with, was lost; trial 1 has them again.
    rows = [line.split() for line in result.stdout.splitlines()[1:3]]
    assert sorted(row[0] for row in rows) == ["1", "2"]
    assert [row[2:] for row in rows if row[0] == "1"] == [["those", "to", "begin", "with"]]
    assert "2 trials: 2 played to the end" in result.stdout
