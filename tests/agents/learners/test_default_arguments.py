"""Ids with arguments of their own: what is trained on them is stored and played with these."""

import gymnasium
import numpy as np
import pytest

from agents.configuration import ENVIRONMENT_DEFAULTS, TrainingConfiguration
from agents.environments import EnvironmentMaker, with_defaults
from agents.evaluation.rollout import rollout
from agents.learners.export import export
from agents.learners.groups.base_files import load_base
from agents.learners.learner import make_learner
from agents.policies.trained.trained_policy import TrainedPolicy
from agents.run_folders import save_configuration
from autoloss_gym.registration import register_task

ID = "AutoLoss/QuadraticStepSize-v0"
LEVELS = {"control_arguments": {"levels": 3}}
KINDS = {
    "ppo": ("ppo", {}, {"n_steps": 4, "batch_size": 8}),
    "sac": ("sac", {"control_arguments": {"relative": True}}, {"learning_starts": 4}),
    "dqn": ("dqn", LEVELS, {"learning_starts": 4}),
    "reinforce": ("reinforce", LEVELS, {}),
    "group": ("group", ENVIRONMENT_DEFAULTS["group"], {"search_runs": 0, "copies": 2}),
}
register_task(
    "Toy/HeldStepSize-v0",
    "autoloss_gym.tasks.step_sizes.quadratic:QuadraticStepSize",
    control="schedule",
    control_arguments={"decide_at": [0.5], "step_reach": 1.0},
    max_steps=8,
)


def train(algo, env, env_kwargs, hyperparameters, folder):
    configuration = TrainingConfiguration(
        algo=algo,
        env=env,
        env_kwargs={"max_steps": 8, **env_kwargs},
        num_envs=4,
        n_timesteps=32,
        seed=0,
        hyperparameters=hyperparameters,
    )
    folder.mkdir()
    save_configuration(folder, configuration)
    make_learner(configuration).train(folder)
    return TrainedPolicy(folder, env)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_and_its_file_play_what_the_id_decides(kind, tmp_path):
    algo, env_kwargs, hyperparameters = KINDS[kind]
    policy = train(algo, ID, env_kwargs, hyperparameters, tmp_path / "run")
    expected = env_kwargs.get("control", "step_size")
    assert policy.env_arguments["control"] == expected
    controller = export(tmp_path / "run")
    assert controller.control == expected
    assert list(controller.add) == list(env_kwargs.get("add", ["step_size"]))

    make_env = EnvironmentMaker(ID, {"max_steps": 8, "split": "validation"})
    policy.load(make_env(num_envs=1, **policy.env_arguments))
    ours, theirs = rollout([policy, controller], make_env, np.arange(6))
    assert np.unique(ours.best_scores).size == 6
    np.testing.assert_array_equal(ours.best_scores, theirs.best_scores)


def test_a_searched_base_joins_the_arguments_of_the_control_that_the_id_has(tmp_path):
    env = "Toy/HeldStepSize-v0"
    policy = train("group", env, {}, {"search_runs": 0, "copies": 2}, tmp_path / "run")
    expected = {"decide_at": [0.5], "step_reach": 1.0, "base": load_base(tmp_path / "run")}
    assert policy.env_arguments["control_arguments"] == expected
    assert export(tmp_path / "run").moments == (4,)


def test_what_is_given_takes_the_place_of_what_the_id_has():
    found = with_defaults(f"module:{ID}", {"add": [], "preset": "mixture"})
    task = gymnasium.spec(ID).kwargs["task"]
    assert found == {"task": task, "control": "step_size", "add": [], "preset": "mixture"}


def test_relative_step_sizes_are_exported_with_the_feature_that_they_need(tmp_path):
    arguments = {"control": "step_size", "control_arguments": {"relative": True}}
    env = "AutoLoss/QuadraticRegression-v1"
    small = {"validate_every": 4, "num_samples": 20, "dimension": 4}
    options = {"n_steps": 4, "batch_size": 8}
    train("ppo", env, {**small, **arguments}, options, tmp_path / "run")
    assert export(tmp_path / "run").add == ("step_size",)
