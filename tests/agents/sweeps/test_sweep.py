"""The command `autoloss sweep`, used as a stranger would."""

import json
import signal
import subprocess
import sys
import time

import pytest

from tests.support.paths import ROOT
from tests.support.prepared import run_python

SWEEP = """
env: AutoLoss/QuadraticRegression-v1
env_kwargs: {dimension: 4, num_samples: 20, max_steps: 20}
trainings:
  - algo: reinforce
    num_envs: 4
    n_timesteps: 240
    hyperparams: {learning_rate: [1e-3, 1e-2]}
seeds: 2
policies: [softadapt]
episodes: 6
"""
TABLES = ("table.txt", "table.md", "results.json", "results.csv")


def command(*arguments):
    return ["-m", "agents.commands.console", "sweep", *map(str, arguments)]


def run(*arguments):
    return run_python(*command(*arguments))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sweep.yml"
    path.write_text(SWEEP)
    return path


def tables(folder):
    return {name: (folder / name).read_bytes() for name in TABLES}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a sweep in one process, and what it printed."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "sweep.yml").write_text(SWEEP)
    result = run(folder / "sweep.yml", "-o", folder / "out")
    assert result.returncode == 0, result.stderr
    return folder / "out" / "AutoLoss-QuadraticRegression-v1_1", result


def test_a_sweep_trains_every_combination_and_prints_one_table(whole):
    folder, result = whole
    rows = result.stdout.splitlines()
    for label in ("reinforce learning_rate=0.001", "reinforce learning_rate=0.01"):
        assert any(row.startswith(label) and "2×6" in row for row in rows), result.stdout
    assert any(row.startswith("Verdict: ") for row in rows)
    assert "was stopped" not in result.stdout
    assert len(list(folder.glob("trainings/*/seed_*/policy.safetensors"))) == 4
    assert len(list(folder.glob("cells/*.zip"))) == 4
    kept = json.loads((folder / "results.json").read_text())
    assert "num_workers" not in json.dumps(kept)


def test_two_workers_and_a_kill_in_between_end_in_the_same_bytes(whole, file, tmp_path):
    folder = tmp_path / "out" / "AutoLoss-QuadraticRegression-v1_1"
    process = subprocess.Popen(
        [sys.executable, *command(file, "-o", tmp_path / "out", "--workers", 2)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while len(list(folder.glob("cells/*.zip"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = {path: path.stat().st_mtime_ns for path in folder.glob("cells/*.zip")}
    assert len(finished) >= 2
    resumed = run("--resume", folder)
    assert resumed.returncode == 0, resumed.stderr
    assert tables(folder) == tables(whole[0])
    for path, moment in finished.items():
        assert path.stat().st_mtime_ns == moment  # it was not played again


def test_cells_of_fewer_runs_are_more_files_and_the_same_table(tmp_path):
    evaluation = [ROOT / "evaluate.py", "--env", "AutoLoss/QuadraticRegression-v1", "--env-kwargs",
                  "dimension=4", "num_samples=20", "max_steps=20", "--policies", "1:1", "softadapt",
                  "--episodes", 12]  # fmt: skip
    found = []
    for name, more in (("whole", ()), ("parts", ("--runs-per-cell", 6))):
        result = run_python(*evaluation, *more, "-o", tmp_path / name)
        assert result.returncode == 0, result.stderr
        folder = tmp_path / name / "AutoLoss-QuadraticRegression-v1_1"
        files = list(folder.glob("episodes/*.safetensors"))
        found.append((len(files), (folder / "table.txt").read_bytes()))
    assert found[1][0] > found[0][0]
    assert found[1][1] == found[0][1]


def test_run_folders_that_are_gone_come_back_from_their_results(whole):
    folder, _ = whole
    before = tables(folder)
    run_folder = folder / "trainings" / "0001" / "seed_1"
    weights = (run_folder / "policy.safetensors").read_bytes()
    (run_folder / "policy.safetensors").unlink()
    assert run("--resume", folder).returncode == 0
    assert (run_folder / "policy.safetensors").read_bytes() == weights
    assert tables(folder) == before


def test_a_training_that_fails_is_named_and_the_others_are_compared(file, tmp_path):
    """Weights that are infinite end a training; here its folder cannot be written."""
    result = run_python(
        "-c",
        "import sys; from pathlib import Path; from agents.sweeps import trainings\n"
        "train = trainings._train\n"
        "def fail(configuration, folder):\n"
        "    if configuration.seed == 1 and configuration.hyperparameters['learning_rate'] > 5e-3:\n"
        "        raise FloatingPointError('the loss is not finite')\n"
        "    train(configuration, folder)\n"
        "trainings._train = fail\n"
        "from agents.command_line import main; from agents.commands.sweep import sweep\n"
        f"sys.exit(main(lambda: sweep([{str(file)!r}, '-o', {str(tmp_path / 'out')!r}], 'sweep'), "
        "'sweep'))",
    )
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith(
        "sweep: error: 1 of 4 cells failed: reinforce learning_rate=0.01 seed=1 (the loss is not "
        "finite)"
    )
    assert "reinforce learning_rate=0.001  2×6" in result.stdout
    assert "learning_rate=0.01 is not here: not all of its trainings succeeded." in result.stdout


def test_a_training_that_diverges_counts_as_failed(tmp_path):
    file = tmp_path / "sweep.yml"
    text = SWEEP.replace("[1e-3, 1e-2]", "[1e-3, 1e30]").replace("seeds: 2", "seeds: 1")
    file.write_text(text.replace("policies: [softadapt]", "policies: []"))
    result = run(file, "-o", tmp_path / "out")
    assert result.returncode == 2
    assert "1 of 2 cells failed: reinforce learning_rate=1e+30 seed=0" in result.stderr
    lines = result.stdout.splitlines()
    assert any(line.startswith("reinforce learning_rate=0.001") for line in lines)


def test_where_no_training_succeeds_the_reason_is_said_and_the_folder_stays(tmp_path):
    file = tmp_path / "sweep.yml"
    file.write_text(SWEEP.replace("[1e-3, 1e-2]", "1e30").replace("[softadapt]", "[]"))
    result = run(file, "-o", tmp_path / "out")
    assert result.returncode == 2
    assert "error: 2 of 2 cells failed: reinforce seed=0 (" in result.stderr.splitlines()[-1]
    assert list(tmp_path.glob("out/*/trainings/0000/seed_0/checkpoint.safetensors"))


def test_weights_of_an_earlier_checkpoint_give_way_to_the_result(whole):
    folder, _ = whole
    before = tables(folder)
    path = folder / "trainings" / "0000" / "seed_0" / "policy.safetensors"
    weights = path.read_bytes()
    path.write_bytes((folder / "trainings" / "0001" / "seed_1" / path.name).read_bytes())
    assert run("--resume", folder).returncode == 0
    assert path.read_bytes() == weights
    assert tables(folder) == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("env: AutoLoss/QuadraticRegresion-v1\ntrainings: [{}]", "did you mean"),
        ("env: AutoLoss/QuadraticRegression-v1\nenv_kwargs: {dimensions: 3}\ntrainings: [{}]",
         "did you mean 'dimension'"),
        ("env: AutoLoss/QuadraticRegression-v1\ntrainings: [{}]\npolicies: [softadap]",
         "did you mean 'softadapt'"),
        ("env: AutoLoss/QuadraticRegression-v1\ntrainings: [{}]\npolicies: ['os:Path']",
         "add --trust-checkpoint"),
        ("env: os:My-v0\ntrainings: [{}]", "if you trust it, say so with --env os:My-v0"),
        ("env: AutoLoss/QuadraticRegression-v1\n"
         "trainings: [{algo: ppo, hyperparams: {learning_rat: 3}}]", "did you mean 'learning_rate'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line_before_anything_is_trained(text, words, tmp_path):
    path = tmp_path / "sweep.yml"
    path.write_text(text)
    result = run(path, "-o", tmp_path / "out")
    assert result.returncode == 2
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not list(tmp_path.glob("out/*"))


def test_a_cluster_without_ray_is_one_line(file, tmp_path):
    result = run_python(
        "-c",
        "import sys; sys.modules['ray'] = None\n"
        "from agents.command_line import main; from agents.commands.sweep import sweep\n"
        f"arguments = [{str(file)!r}, '-o', {str(tmp_path / 'out')!r}, '--cluster', 'auto']\n"
        "sys.exit(main(lambda: sweep(arguments, 'sweep'), 'sweep'))",
    )
    assert result.returncode == 2
    assert result.stderr == (
        "sweep: error: --cluster needs Ray: pip install 'autoloss_gym[cluster]'\n"
    )
