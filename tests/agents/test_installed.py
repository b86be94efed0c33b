"""The program `autoloss`, from a wheel in a clean environment and from another folder."""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from agents.commands.console import COMMANDS
from agents.configuration import ALGORITHMS, VERSION_OF
from tests.support.paths import ROOT

ID = "AutoLoss/QuadraticRegression-v1"
SMALL = ["--env-kwargs", "dimension=4", "num_samples=20", "max_steps=20"]
SOURCES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md",
           "constraints.txt", "train_agent.py", "evaluate.py")  # fmt: skip

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("setuptools") is None or importlib.util.find_spec("pip") is None,
    reason="a wheel is built with setuptools and installed with pip",
)


def call(command, cwd):
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = list(map(str, command))
    return subprocess.run(
        command, cwd=cwd, env=variables, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """What a wheel is made of, copied: building leaves files behind."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        shutil.copy(ROOT / name, folder)
    for name in ("autoloss_gym", "agents", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def wheel(checkout, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation",
               "--no-index", "--wheel-dir", folder, checkout]  # fmt: skip
    built = call(command, folder)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("*.whl")
    return path


def environment(folder, what, *options):
    """A clean environment with `what` installed, which sees the libraries of this one.

    A line of a .pth file adds a folder, but not what that folder's own .pth files add: so an
    editable installation of the checkout is not seen.
    """
    call([sys.executable, "-m", "venv", "--without-pip", folder], folder.parent)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--ignore-installed"]
    offline = ["--no-deps", "--no-index", "--no-build-isolation"]
    installed = call([*pip, *offline, *options, what], folder)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    return folder / "bin"


@pytest.fixture(scope="module")
def programs(wheel, tmp_path_factory):
    return environment(tmp_path_factory.mktemp("environments") / "clean", wheel)


def test_a_wheel_in_a_clean_environment_trains_and_evaluates_from_another_folder(
    programs, tmp_path
):
    where = call([programs / "python", "-c", "import autoloss_gym; print(autoloss_gym)"], tmp_path)
    assert str(programs.parent) in where.stdout
    assert call([programs / "python", "-c", "import agents"], tmp_path).returncode == 1
    training = call(
        [programs / "autoloss", "train", "--env", ID, "--algo", "ppo", *SMALL,
         "--n-timesteps", "1e3", "--num-envs", "8", "-P", "n_steps=16"],
        tmp_path,
    )  # fmt: skip
    assert training.returncode == 0, training.stderr
    run = tmp_path / training.stdout.strip()
    assert (run / "policy.safetensors").is_file()
    evaluation = call(
        [programs / "autoloss", "evaluate", "--env", ID, *SMALL, "--episodes", 3,
         "--policies", f"ppo:{run}", "1:1", "softadapt", "--num-workers", 2],
        tmp_path,
    )  # fmt: skip
    assert evaluation.returncode == 0, evaluation.stderr
    assert any(line.startswith("softadapt") for line in evaluation.stdout.splitlines())
    assert (tmp_path / "results").is_dir()


COMPARING = """
import autoloss_gym

def train(rule, seed):
    return seed + float(rule.update([1.0, 2.0])[0])

if __name__ == "__main__":
    result = autoloss_gym.compare(train, ["equal", "softadapt"], 2, output="out", num_workers=2)
    print(type(result).__module__, autoloss_gym.compare.__module__)
    print(result.verdict)
"""


def test_a_script_elsewhere_compares_rules_with_the_wheel(programs, tmp_path):
    (tmp_path / "script.py").write_text(COMPARING)
    result = call([programs / "python", "script.py"], tmp_path)
    assert result.returncode == 0, result.stderr
    modules, verdict = result.stdout.splitlines()
    assert modules.split() == [
        "autoloss_gym.agents.evaluation.own_loops.result",
        "autoloss_gym.agents.evaluation.own_loops.comparison",
    ]
    assert "softadapt" in verdict
    assert (tmp_path / "out" / "figure.png").is_file()


def test_errors_of_the_program_are_one_line_with_its_name(programs, tmp_path):
    for arguments, expected in (
        (["trian"], "autoloss: error: argument COMMAND: unknown command 'trian'; did you mean"),
        (["train"], "autoloss train: error: expected --env"),
        (["train", "--env", ID, "--env-kwargs", "datset=3"], "autoloss train: error: unknown arg"),
        (["evaluate", "--env", ID], "autoloss evaluate: error: expected --env and --policies"),
        (["show", "AutoLoss/Beal-v0"], "autoloss show: error: unknown environment"),
    ):  # fmt: skip
        result = call([programs / "autoloss", *arguments], tmp_path)
        assert result.returncode == 2
        assert result.stdout == ""
        assert len(result.stderr.splitlines()) == 1
        assert result.stderr.startswith(expected)


def test_help_and_version_are_those_of_the_program(programs, tmp_path):
    for command in COMMANDS:
        shown = call([programs / "autoloss", command, "--help"], tmp_path)
        assert shown.returncode == 0
        assert shown.stdout.startswith(f"usage: autoloss {command}")
        assert ".py" not in shown.stdout.partition("policies:")[0]
    version = call([programs / "autoloss", "--version"], tmp_path)
    assert version.stdout == "autoloss_gym 0.1.0\n"


def test_an_editable_installation_has_the_program_too(checkout, tmp_path):
    programs = environment(tmp_path / "editable", checkout, "--editable")
    result = call([programs / "autoloss", "list"], tmp_path)
    assert result.returncode == 0, result.stderr
    assert ID in result.stdout
    program = "import autoloss_gym.agents.learners.learner as it; print(it.__file__)"
    where = call([programs / "python", "-c", program], tmp_path)
    assert Path(where.stdout.strip()).is_relative_to(checkout / "agents"), where.stderr
    program = "import autoloss_gym; print(autoloss_gym.compare.__code__.co_filename)"
    where = call([programs / "python", "-c", program], tmp_path)
    assert Path(where.stdout.strip()).is_relative_to(checkout / "agents"), where.stderr


def test_the_wheel_has_every_module_and_the_hyperparameters_and_no_tests(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for package, target in (("autoloss_gym", "autoloss_gym"), ("agents", "autoloss_gym/agents")):
        for path in (ROOT / package).rglob("*.py"):
            assert f"{target}/{path.relative_to(ROOT / package)}" in names
    for algorithm in set(ALGORITHMS) - set(VERSION_OF):
        assert f"autoloss_gym/agents/hyperparameters/{algorithm}.yml" in names
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {
        "autoloss_gym"
    }


def test_the_source_distribution_has_what_the_wheel_is_made_of_and_no_tests(checkout, tmp_path):
    program = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"
    built = call([sys.executable, "-c", program, tmp_path], checkout)
    assert built.returncode == 0, built.stderr
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    assert {"setup.py", "pyproject.toml", "agents/hyperparameters/ppo.yml"} <= names
    for package in ("autoloss_gym", "agents"):
        for path in (ROOT / package).rglob("*.py"):
            assert str(path.relative_to(ROOT)) in names
    assert not [name for name in names if name.startswith(("tests", "studies", "benchmarks"))]
