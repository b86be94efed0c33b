"""The two commands, used as a stranger would."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import gymnasium
import pytest

from autoloss_gym.registration import TASKS
from tests.support.paths import ROOT
from tests.support.prepared import run_python

ID = "AutoLoss/QuadraticRegression-v1"
SMALL = ["--env-kwargs", "dimension=4", "num_samples=20", "max_steps=20"]
BRIEF = ["--n-timesteps", "1e3", "--num-envs", "8"]
REPORT = [
    "table.txt",
    "table.md",
    "results.json",
    "results.csv",
    "figure.png",
]  # what evaluate.py writes, its last lines


def run(command, *arguments, cwd=ROOT):
    return run_python(ROOT / f"{command}.py", *arguments, cwd=cwd)


def run_anew(command, *arguments, cwd=ROOT):
    """The same in a process that shares nothing with those of `run`, such as the seed of hashes."""
    return subprocess.run(
        [sys.executable, ROOT / f"{command}.py", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def one_line(result):
    assert result.returncode == 2, result.stdout + result.stderr
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1
    return result.stderr


def table(result):
    """The lines of the table and its notes."""
    lines = result.stdout.splitlines()
    assert [Path(line).name for line in lines[-len(REPORT) :]] == REPORT
    return lines[: -len(REPORT)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    result = run(
        "train_agent",
        "--env",
        ID,
        "--algo",
        "ppo",
        *SMALL,
        *BRIEF,
        "-P",
        "n_steps=16",
        "-f",
        folder,
    )
    assert result.returncode == 0, result.stderr
    return Path(result.stdout.strip())


def test_training_keeps_configuration_weights_events_and_figures(trained):
    names = {path.name for path in trained.iterdir()}
    assert {"config.json", "policy.safetensors", "progress.csv"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    configuration = json.loads((trained / "config.json").read_text())
    assert configuration["hyperparameters"]["n_steps"] == 16  # the flag wins over the YAML file
    assert configuration["num_envs"] == 8
    assert configuration["n_timesteps"] == 1000
    header = (trained / "progress.csv").read_text().splitlines()[0].split(",")
    figures = {
        "environment/score",
        "environment/best_score",
        "environment/steps",
        "environment/share_of_mse",
    }
    assert figures <= set(header)


def test_a_trained_policy_is_judged_beside_the_baselines(trained, tmp_path):
    policies = [f"ppo:{trained}", "always:mse", "round_robin", "2:1", "random:0.3", "fixed:2", "grid:3", "grid_each:2",
                "without_penalty", "s1:0.5", "s2", "s3:-0.9", "softadapt", "softadapt:pair,normalized,beta=1",
                "softadapt:loss_weighted,least_squares=4,every=2", "equal", "dwa:scale=sum", "uncertainty:pair", "gradnorm",
                "random_weights:pair"]  # fmt: skip
    result = run(
        "evaluate", "--env", ID, *SMALL, "--episodes", 4, "-o", tmp_path, "--policies", *policies
    )
    assert result.returncode == 0, result.stderr
    for policy in ("ppo", *policies[1:]):
        assert any(line.startswith(policy) for line in result.stdout.splitlines())
    written = {Path(line).name: Path(line) for line in result.stdout.splitlines()[-len(REPORT) :]}
    assert list(written) == REPORT
    assert written["figure.png"].read_bytes().startswith(b"\x89PNG")
    content = json.loads(written["results.json"].read_text())
    assert len(content["rows"]) == len(policies)
    assert len(written["results.csv"].read_text().splitlines()) == 1 + 4 * len(policies)


def test_a_trained_policy_meets_constants_unless_told_otherwise(trained, tmp_path):
    command = ["--env", ID, *SMALL, "--episodes", 2, "-o", tmp_path, "--policies", f"ppo:{trained}"]
    result = run("evaluate", *command)
    assert result.returncode == 0, result.stderr
    assert "constant:20 was added to compare with; --without-constant leaves it out." in table(
        result
    )
    # 1,024 steps in runs of 20; constants met two validation problems each.
    assert "Training runs before the table: " in result.stdout
    assert "ppo 52" in result.stdout
    assert "constant:20 40" in result.stdout
    folder = Path(result.stdout.splitlines()[-1]).parent
    assert table(run("evaluate", "--resume", folder)) == table(result)

    alone = run("evaluate", *command, "1:1", "--without-constant")
    assert "was added" not in alone.stdout
    verdict = table(alone)[-1]
    assert verdict.startswith("Verdict: ")
    assert "add constant:20 to --policies" in verdict


def test_reinforce_is_trained_and_judged(tmp_path):
    training = run(
        "train_agent", "--env", ID, "--algo", "reinforce", *SMALL, *BRIEF, "-f", tmp_path
    )
    assert training.returncode == 0, training.stderr
    folder = Path(training.stdout.strip())
    assert "environment/share_of_mse" in (folder / "progress.csv").read_text().splitlines()[0]
    assert any(path.name.startswith("events.out.tfevents") for path in folder.iterdir())
    result = run(
        "evaluate",
        "--env",
        ID,
        *SMALL,
        "--episodes",
        3,
        "-o",
        tmp_path,
        "--policies",
        f"reinforce:{folder}",
        "1:1",
    )
    assert result.returncode == 0, result.stderr
    assert any(line.startswith("reinforce") for line in result.stdout.splitlines())


def test_evaluation_is_repeatable(trained, tmp_path):
    command = [
        "--env",
        ID,
        *SMALL,
        "--episodes",
        3,
        "--policies",
        f"ppo:{trained}",
        "random:0.5",
        "-o",
        tmp_path,
    ]
    first, second = run("evaluate", *command), run_anew("evaluate", *command)
    assert first.returncode == 0
    assert table(first) == table(second)


def test_a_task_of_ones_own_is_trained_and_judged_from_its_folder(tmp_path):
    (tmp_path / "sparse_signal.py").write_text((ROOT / "examples" / "sparse_signal.py").read_text())
    env = ["--env", "sparse_signal:Example/SparseSignal-v0"]
    training = run("train_agent", *env, "--algo", "ppo", *BRIEF, "-P", "n_steps=16", cwd=tmp_path)
    assert training.returncode == 0, training.stderr
    result = run(
        "evaluate",
        *env,
        "--episodes",
        3,
        "--policies",
        f"ppo:{training.stdout.strip()}",
        "1:1",
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert "recovery_error" in result.stdout


def test_the_task_of_ones_own_has_at_most_30_lines():
    lines = (ROOT / "examples" / "sparse_signal.py").read_text().splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 30


def test_a_run_of_another_environment_is_refused(trained):
    env = ["--env", "sparse_signal:Example/SparseSignal-v0"]
    assert "was trained on" in one_line(
        run("evaluate", *env, "--policies", f"ppo:{trained}", cwd=ROOT / "examples")
    )


def test_a_training_that_did_not_end_is_said(trained, tmp_path):
    copy_of(trained, tmp_path / "run_0", n_timesteps=10**6)
    command = ["--env", ID, *SMALL, "--episodes", 2, "-o", tmp_path, "--policies"]
    assert (
        "of 1,000,000 steps of training"
        in run("evaluate", *command, f"ppo:{tmp_path}/run_0").stdout
    )
    assert "steps of training" not in run("evaluate", *command, f"ppo:{trained}").stdout


def test_damaged_weights_are_refused_in_one_line(trained, tmp_path):
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "config.json").write_text((trained / "config.json").read_text())
    weights = (trained / "policy.safetensors").read_bytes()
    (damaged / "policy.safetensors").write_bytes(weights[:100])
    command = ["--env", ID, *SMALL, "--policies", f"ppo:{damaged}", "--output", tmp_path / "out"]
    assert "policy.safetensors' cannot be read" in one_line(run("evaluate", *command))
    # An evaluation that fails before its first batch leaves nothing.
    assert list((tmp_path / "out").iterdir()) == []


def copy_of(trained, folder, **changes):
    folder.mkdir()
    configuration = json.loads((trained / "config.json").read_text())
    del configuration["checksum"]
    (folder / "config.json").write_text(json.dumps(configuration | changes))
    (folder / "policy.safetensors").write_bytes((trained / "policy.safetensors").read_bytes())


def test_only_trainings_that_differ_in_their_seed_alone_are_pooled(trained, tmp_path):
    copy_of(trained, tmp_path / "run_0")
    copy_of(trained, tmp_path / "run_1", seed=1)
    pooled = [
        "--env",
        ID,
        *SMALL,
        "--episodes",
        2,
        "-o",
        tmp_path,
        "--policies",
        f"ppo:{tmp_path}/run_*",
    ]
    result = run("evaluate", *pooled)
    assert "2×2" in result.stdout
    assert "Training seeds: ppo 2" in result.stdout
    copy_of(trained, tmp_path / "run_2", seed=0)
    assert "each must have its own" in one_line(run("evaluate", *pooled))
    copy_of(trained, tmp_path / "run_3", seed=3, env_kwargs={"dimension": 5})
    (tmp_path / "run_2" / "config.json").unlink()
    (tmp_path / "run_2" / "policy.safetensors").unlink()
    (tmp_path / "run_2").rmdir()
    assert "differ in env_kwargs" in one_line(run("evaluate", *pooled))
    assert "was trained by ppo" in one_line(
        run("evaluate", "--env", ID, "--policies", f"dqn:{trained}")
    )


def test_a_policy_acts_on_the_features_that_it_was_trained_on_and_a_transfer_is_said(
    trained, tmp_path
):
    command = ["--env", ID, "--env-kwargs", "dimension=4", "num_samples=20", "max_steps=20"]
    rest = ["--episodes", 2, "-o", tmp_path, "--policies", f"ppo:{trained}"]
    same, raw = run("evaluate", *command, *rest), run("evaluate", *command, "features=raw", *rest)
    assert same.stdout.splitlines()[3] == raw.stdout.splitlines()[3]
    assert "was trained with other" not in same.stdout
    assert "was trained with other" in run("evaluate", *command[:-1], "max_steps=40", *rest).stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--env", ID, "--env-kwargs", "split=test"], "the commands set split themselves"),
        (
            ["--env", ID, "--algo", "ppo", "-P", "n_steps=hello"],
            "n_steps='hello': expected an integer of at least 1",
        ),
        (["--env", ID, "--seed", "10000000000000"], "expected an integer from 0 to 2,147,483,647"),
        (["--env", ID, "-f", "/dev/null/x"], "Not a directory"),
        (
            ["--env", "AutoLoss/QuadraticRegresion-v0"],
            "did you mean 'AutoLoss/QuadraticRegression-v1'",
        ),
        (["--env", "no_such_module:My/Task-v0"], "cannot import module 'no_such_module'"),
        (["--env", ID, "--algo", "pppo"], "did you mean 'ppo'"),
        (["--env", ID, "--num-envs", "0"], "expected an integer from 1 to 524,288"),
        (["--env", ID, "--conf-file", "missing.yml"], "'missing.yml' does not exist"),
        (["--env", ID, "-P", "learning_rat=1"], "did you mean 'learning_rate'"),
        (["--env", ID, "-P", "learning_rate"], "expected name=value"),
        (["--env", ID, "--env-kwargs", "datset=diabetes"], "did you mean 'dataset'"),
        (["--env", ID, "--env-kwargs", "rewards=final"], "did you mean 'reward'"),
        (
            ["--env", ID, "--env-kwargs", "dataset=missing.csv"],
            "'missing.csv': there is no such file",
        ),
        (["--env", ID, "--algo", "sac"], "add --env-kwargs control=weights"),
        (
            ["--env", ID, "--algo", "dqn", "--env-kwargs", "control=weights"],
            "leave out control=weights",
        ),
    ],
)
def test_bad_input_to_train_agent_is_one_line(arguments, expected, tmp_path):
    assert expected in one_line(run("train_agent", *arguments, cwd=tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("softadap", "did you mean 'softadapt'"),
        ("softadapt:order=5", "expected softadapt, or softadapt: with some of"),
        ("ppo:nowhere", "there is no folder 'nowhere'"),
        ("ppo:.", "holds no config.json"),
        ("random:1.5", "P between 0 and 1"),
        ("fixed:x", "numbers of at least 0"),
        ("grid:one", "N of at least 2"),
        ("random:0.2,0.2", "P1,P2,… that sum to 1"),
        ("open_loop:1", "K of at least 2"),
        ("always:l2", "unknown loss 'l2'"),
        ("1:2:3", "the task has 2 pairs: mse, l1"),
    ],
)
def test_bad_policies_are_one_line(policy, expected, tmp_path):
    assert expected in one_line(run("evaluate", "--env", ID, "--policies", policy, cwd=tmp_path))
    assert not list(tmp_path.iterdir())


# Resuming

KILLED = """
import os, runpy, signal, sys
replace, written = os.replace, []

def dies_in_the_third_batch(source, target):
    written.extend([target] if str(target).endswith(".safetensors") else [])
    if len(written) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

os.replace, sys.argv = dies_in_the_third_batch, sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
RESUMABLE = [
    "--env",
    ID,
    *SMALL,
    "features=raw",
    "--episodes",
    5,
    "--seed",
    3,
    "--policies",
    "grid:3",
    "1:1",
    "s2",
    "softadapt",
]


def test_a_training_that_was_killed_goes_on_to_the_weights_of_one_that_was_not(tmp_path):
    arguments = [
        "--env",
        ID,
        "--algo",
        "ppo",
        *SMALL,
        "--n-timesteps",
        "1e4",
        "--num-envs",
        "8",
        "-P",
        "n_steps=16",
    ]
    whole = run("train_agent", *arguments, "-f", tmp_path / "whole")
    command = [sys.executable, ROOT / "train_agent.py", *arguments, "-f", tmp_path / "killed"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(tmp_path.glob("killed/ppo/*/checkpoint.safetensors")):
        time.sleep(0.001)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    (folder,) = tmp_path.glob("killed/ppo/*")
    resumed = run("train_agent", "--resume", folder)
    assert resumed.returncode == 0, resumed.stderr
    assert (folder / "policy.safetensors").read_bytes() == (
        Path(whole.stdout.strip()) / "policy.safetensors"
    ).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--resume", "nowhere"], "is not a run folder of a training"),
        (
            ["--resume", "nowhere", "--seed", "3"],
            "reads all arguments from the folder: leave out --seed",
        ),
        ([], "expected --env, or --resume RUN"),
    ],
)
def test_a_training_is_new_or_resumed(arguments, expected, tmp_path):
    assert expected in one_line(run("train_agent", *arguments, cwd=tmp_path))


def contents(folder):
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.name in ("table.txt", "results.csv")
    }


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    result = run("evaluate", *RESUMABLE, "-o", tmp_path_factory.mktemp("results"))
    assert result.returncode == 0, result.stderr
    return Path(result.stdout.splitlines()[-1]).parent


def test_an_evaluation_that_was_killed_goes_on_where_it_was_to_the_same_bytes(
    uninterrupted, tmp_path
):
    """Killed while it writes its third batch of four, of which two choose and two make the table."""
    killed = run_python("-c", KILLED, ROOT / "evaluate.py", *RESUMABLE, "-o", tmp_path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (folder,) = tmp_path.iterdir()
    assert not contents(folder)
    finished = {
        path: path.stat().st_mtime_ns for path in (folder / "episodes").glob("*.safetensors")
    }
    assert (len(finished), len(list((folder / "episodes").glob("*.tmp")))) == (2, 1)
    resumed = run_anew("evaluate", "--resume", folder, cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert len(list((folder / "episodes").glob("*.safetensors"))) == 4
    assert contents(folder) == contents(uninterrupted)
    assert len(contents(folder)) == 2
    assert list(tmp_path.iterdir()) == [folder]


def test_resuming_a_finished_evaluation_plays_nothing_and_says_the_same(uninterrupted, tmp_path):
    folder = shutil.copytree(uninterrupted, tmp_path / "moved")
    for name in contents(folder):
        (folder / name).unlink()
    files = sorted((folder / "episodes").iterdir())
    times = [path.stat().st_mtime_ns for path in files]
    resumed = run("evaluate", "--resume", folder)
    assert contents(folder) == contents(uninterrupted)
    assert table(resumed) == contents(folder)["table.txt"].decode().splitlines()
    assert sorted((folder / "episodes").iterdir()) == files
    assert [path.stat().st_mtime_ns for path in files] == times


def test_what_cannot_be_resumed_is_one_line(uninterrupted, tmp_path):
    (tmp_path / "results").mkdir()
    assert "holds no command.json" in one_line(run("evaluate", "--resume", tmp_path / "nowhere"))
    assert "holds no command.json" in one_line(run("evaluate", "--resume", tmp_path / "results"))
    command = json.loads((uninterrupted / "command.json").read_text())
    (tmp_path / "results" / "command.json").write_text(json.dumps(command | {"episodes": 9}))
    assert "it was changed after it was written" in one_line(
        run("evaluate", "--resume", tmp_path / "results")
    )
    del command["checksum"]
    (tmp_path / "results" / "command.json").write_text(json.dumps(command | {"format": 3}))
    assert "format 3 is newer than this version reads (2)" in one_line(
        run("evaluate", "--resume", tmp_path / "results")
    )
    (tmp_path / "results" / "command.json").write_text(json.dumps(command)[:-10])
    assert "command.json' cannot be read" in one_line(
        run("evaluate", "--resume", tmp_path / "results")
    )
    (tmp_path / "results" / "command.json").write_text(json.dumps(command | {"env_kwargs": 3}))
    assert "command.json' cannot be read" in one_line(
        run("evaluate", "--resume", tmp_path / "results")
    )
    del command["episodes"]
    (tmp_path / "results" / "command.json").write_text(json.dumps(command))
    assert "it has no 'episodes'" in one_line(run("evaluate", "--resume", tmp_path / "results"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--resume", ".", "--policies", "1:1"], "leave out --policies"),
        (["--resume", ".", "--num-threads", "2"], "leave out --num-threads"),
        (["--env", ID], "expected --env and --policies, or --resume FOLDER alone"),
        (["--policies", "1:1"], "expected --env and --policies, or --resume FOLDER alone"),
        (["--resume"], "--resume: expected one argument"),
    ],
)
def test_an_evaluation_is_new_or_resumed(arguments, expected, tmp_path):
    assert expected in one_line(run("evaluate", *arguments, cwd=tmp_path))


# Answers at once

TRACED = """
import sys, runpy
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as stop:
    slow = {"torch", "stable_baselines3", "matplotlib", "rich", "yaml"} & set(sys.modules)
    print(stop.code, sorted(slow), file=sys.stderr)
"""


def traced(command, *arguments):
    """What a command says on stderr, its exit status, and the slow modules that it has imported."""
    program = [sys.executable, "-c", TRACED, f"{command}.py", *arguments]
    result = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True)
    *said, end = result.stderr.splitlines()
    return said, end


@pytest.mark.parametrize("command", ["train_agent", "evaluate"])
@pytest.mark.parametrize("arguments", [["--help"], ["--env", ID, "--seed", "-1"]])
def test_help_and_usage_errors_answer_without_loading_anything_slow(command, arguments):
    _, end = traced(command, *arguments)
    assert end in ("0 []", "2 []")


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("datset=diabetes", "did you mean 'dataset'?"),
        ("rewards=final", "did you mean 'reward'?"),
        ("learning_rat=1", "did you mean 'learning_rate'?"),
        ("preset=relased", "did you mean 'released'?"),
    ],
)
@pytest.mark.parametrize("command", ["train_agent", "evaluate"])
def test_a_wrong_argument_of_our_environments_is_answered_without_loading_torch(
    command, argument, expected
):
    policies = ["--policies", "1:1"] if command == "evaluate" else []
    said, end = traced(command, "--env", ID, "--env-kwargs", argument, *policies)
    assert end == "2 ['yaml']"  # by which values are read
    (line,) = said
    assert line.startswith(f"{command}.py: error: unknown ")
    assert expected in line


@pytest.mark.parametrize("argument", ["datset", "presets"])
def test_a_wrong_argument_is_answered_in_the_words_of_the_environment(argument, tmp_path):
    with pytest.raises(ValueError, match="unknown argument") as caught:
        gymnasium.make_vec(ID, num_envs=1, **{argument: 1})
    said = one_line(run("train_agent", "--env", ID, "--env-kwargs", f"{argument}=1", cwd=tmp_path))
    assert said == f"train_agent.py: error: {caught.value}\n"


def test_a_wrong_argument_of_a_users_task_is_answered_by_its_environment():
    command = ["--env", "sparse_signal:Example/SparseSignal-v0", "--env-kwargs", "nois=3"]
    said = one_line(run("train_agent", *command, cwd=ROOT / "examples"))
    assert (
        "unknown argument of the environment or of SparseSignal: got an unexpected keyword argument 'nois'"
        in said
    )


def test_the_environments_are_listed_and_shown_without_loading_torch():
    def console(*arguments):
        program = (
            "import sys; from agents.commands.console import console; code = console(); "
            "print('torch' in sys.modules, file=sys.stderr); sys.exit(code)"
        )
        result = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert result.stderr == "False\n"
        return result.stdout

    listed = console("list")
    for id in TASKS:
        assert id in listed
        shown = console("show", id)
        assert shown.startswith(id)
        assert all(heading in shown for heading in ("## Description", "## Version History"))
        assert "  max_steps " in shown
        assert "  reward_arguments " in shown
    assert "Presets: released" in console("show", ID)


# Progress


def test_an_evaluation_says_each_stage_in_one_line(tmp_path):
    command = ["--env", ID, *SMALL, "--episodes", 4, "-o", tmp_path]
    result = run("evaluate", *command, "--policies", "open_loop:2,192", "grid:3", "1:1")
    assert result.stderr.splitlines() == [
        "searching a schedule on training problems: 192 training runs",
        "choosing on validation problems among 5 candidates: 20 training runs",
        "playing the test problems with 3 policies: 12 training runs",
    ]


# What runs code

OWN_ENVIRONMENT = """
import autoloss_gym
print("imported")
autoloss_gym.register_task("Own/Task-v0", "autoloss_gym.tasks.surfaces.beale:Beale")
"""


@pytest.mark.parametrize("command", ["train_agent", "evaluate"])
def test_a_resumed_folder_imports_no_module_that_the_user_did_not_name(command, tmp_path):
    (tmp_path / "own.py").write_text(OWN_ENVIRONMENT)
    env = ["--env", "own:Own/Task-v0", "--env-kwargs", "max_steps=20"]
    if command == "train_agent":
        begun = run(command, *env, "--n-timesteps", "1280", "-f", ".", cwd=tmp_path)
    else:
        begun = run(
            command, *env, "--episodes", "2", "--policies", "1:1:1", "-o", ".", cwd=tmp_path
        )
    assert begun.returncode == 0, begun.stderr
    (folder,) = {path.parent for path in tmp_path.rglob("c*.json")}
    alone = run(command, "--resume", folder, cwd=tmp_path)
    assert "say so with --env own:Own/Task-v0" in one_line(alone)
    assert "imported" not in alone.stdout
    other = run(command, "--resume", folder, "--env", ID, cwd=tmp_path)
    assert "the folder is of own:Own/Task-v0" in one_line(other)
    trusted = run(command, "--resume", folder, *env[:2], cwd=tmp_path)
    assert trusted.returncode == 0, trusted.stderr


def test_a_stored_argument_that_names_code_is_refused(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    content = json.loads((folder / "config.json").read_text())
    content["env_kwargs"]["task"] = "own:Task"
    del content["checksum"]
    (folder / "config.json").write_text(json.dumps(content))
    assert "the commands set task themselves" in one_line(run("train_agent", "--resume", folder))


def test_a_file_of_the_working_folder_takes_the_place_of_no_library(tmp_path):
    (tmp_path / "torch.py").write_text("raise SystemExit('shadowed')")
    arguments = ["--env", ID, *SMALL, "--episodes", "2", "--policies", "1:1"]
    result = run_anew("evaluate", *arguments, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
