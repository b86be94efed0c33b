"""What the documentation says is what the code does."""

import dataclasses
import inspect
import re
import subprocess
import sys

import gymnasium
import pytest

from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.registration import TASKS
from tests.support.paths import ROOT

HEADINGS = [
    "Description",
    "Losses",
    "Action Space",
    "Observation Space",
    "Rewards",
    "Starting State",
    "Episode End",
    "Arguments",
    "References",
    "Version History",
]


@pytest.mark.parametrize("id", TASKS)
def test_task_docstrings_have_the_headings_in_order(id):
    task = gymnasium.make(id).unwrapped.task
    assert re.findall(r"^\s*## (.+)$", type(task).__doc__, re.MULTILINE) == HEADINGS


@pytest.mark.parametrize("id", TASKS)
def test_task_docstrings_name_every_argument(id):
    task = gymnasium.make(id).unwrapped.task
    arguments = type(task).__doc__.split("## Arguments")[1].split("## References")[0]
    missing = [
        name
        for name in (field.name for field in dataclasses.fields(task))
        if not re.search(rf"\b{name}\b", arguments)
    ]
    assert missing == []


def test_the_vector_environment_documents_every_argument():
    names = list(inspect.signature(AutoLossVectorEnv).parameters)
    assert [name for name in names if f"        {name}:" not in AutoLossVectorEnv.__doc__] == []


def test_the_readme_says_how_many_features_regression_has():
    assert "11 numbers" in gymnasium.make("AutoLoss/QuadraticRegression-v0").unwrapped.task.__doc__
    assert gymnasium.make("AutoLoss/QuadraticRegression-v0").observation_space.shape == (11,)
    assert gymnasium.make(
        "AutoLoss/QuadraticRegression-v0", patience=3
    ).observation_space.shape == (12,)


@pytest.mark.parametrize(
    "block", re.findall(r"```python\n(.+?)```", (ROOT / "README.md").read_text(), re.DOTALL)
)
def test_python_in_the_readme_runs(block, tmp_path):
    block = re.sub(r"total_timesteps=[\d_]+", "total_timesteps=64", block)
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", block],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_pictures_and_files_that_the_readme_shows_exist():
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_released_preset_has_the_settings_of_the_papers_code():
    task = gymnasium.make("AutoLoss/QuadraticRegression-v0", preset="released").unwrapped.task
    assert (task.optimizer.learning_rate, task.max_steps, task.validate_every, task.patience) == (
        5e-4,
        20_000,
        10,
        100,
    )
    assert (task.dimension, task.num_samples, task.noise, task.l1_coefficient) == (
        16,
        200,
        2.0,
        0.2,
    )
