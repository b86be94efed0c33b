"""Lists among the arguments of an environment, through the command line."""

import json
from pathlib import Path

import gymnasium
import pytest

from agents.commands.evaluate import evaluate
from agents.commands.train import train
from agents.policies.trained.trained_policy import TrainedPolicy
from agents.run_folders import load_configuration

SHORT = {"max_steps": 10, "validate_every": 5}


def written(arguments):
    return ["--env-kwargs", *(f"{name}={value}" for name, value in (SHORT | arguments).items())]


@pytest.mark.parametrize(
    ("id", "text", "arguments"),
    [
        ("QuadraticRegression", {"noise": "[0.5,6]"}, {"noise": (0.5, 6.0)}),
        (
            "MLPClassification",
            {"dataset": "tables", "tables": "[wine,iris]"},
            {"dataset": "tables", "tables": ("wine", "iris")},
        ),
    ],
)
def test_a_family_of_a_command_is_that_of_the_same_arguments_in_python(
    id, text, arguments, tmp_path, capsys
):
    command = ["--env", f"AutoLoss/{id}-v1", *written(text), "--episodes", "3"]
    evaluate([*command, "--policies", "1:1", "-o", str(tmp_path)])
    title, *_ = capsys.readouterr().out.splitlines()
    assert all(name in title for name in text)
    (path,) = tmp_path.glob("*/results.json")
    results = json.loads(path.read_text())
    chosen = dict(results["command"]["env_kwargs"])
    expected = gymnasium.make_vec(f"AutoLoss/{id}-v1", **SHORT, **arguments).task
    assert gymnasium.make_vec(f"AutoLoss/{id}-v1", **chosen).task == expected
    assert results["metric"]["name"] == expected.score_metrics[0].name


def test_added_groups_of_a_command_are_observed_in_training_and_in_the_table(tmp_path, capsys):
    env = ["--env", "AutoLoss/QuadraticRegression-v1"]
    brief = ["--algo", "reinforce", "--num-envs", "2", "--n-timesteps", "40", "-f", str(tmp_path)]
    train([*env, *written({"add": "[sizes,gap]"}), *brief])
    folder = Path(capsys.readouterr().out.strip())
    assert load_configuration(folder).env_kwargs["add"] == ["sizes", "gap"]
    policies = ["--policies", f"reinforce:{folder}", "1:1", "--without-constant"]
    evaluate([*env, *written({}), *policies, "--episodes", "2", "-o", str(tmp_path)])
    assert "reinforce" in capsys.readouterr().out
    controller = TrainedPolicy(folder, "AutoLoss/QuadraticRegression-v1")
    assert controller.env_arguments["add"] == ["sizes", "gap"]
    plain, more = (
        gymnasium.make_vec("AutoLoss/QuadraticRegression-v1", **SHORT, **each)
        for each in ({}, controller.env_arguments)
    )
    controller.load(more)
    with pytest.raises(ValueError, match="observations of 13 numbers, this environment has 11"):
        controller.load(plain)
