"""Policies that were trained, on tasks with other arguments than those of their training."""

import gymnasium
import numpy as np
import pytest

from agents.configuration import TrainingConfiguration
from agents.evaluation.comparison import run_benchmark
from agents.evaluation.entrants import make_entrants, warnings
from agents.learners.learner import make_learner
from agents.policies.grammar import parse_specification
from agents.policies.trained.trained_policy import TrainedPolicy
from agents.run_folders import save_configuration

ID = "tests.support.toy_tasks:Toy/Painter-v0"
HYPERPARAMETERS = {
    "ppo": {"n_steps": 8, "batch_size": 16, "n_epochs": 1},
    "dqn": {"learning_starts": 20},
    "reinforce": {},
}
ELSEWHERE = {
    "height": 5,
    "channels": 3,
    "max_steps": 12,
    "validate_every": 2,
    "minimize": True,
}  # the same observations


@pytest.fixture(scope="module", params=HYPERPARAMETERS)
def trained(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    configuration = TrainingConfiguration(
        algo=request.param, env=ID, env_kwargs={"height": 2}, num_envs=2, n_timesteps=96, seed=0,
        hyperparameters=HYPERPARAMETERS[request.param])  # fmt: skip
    make_learner(configuration).train(folder)
    save_configuration(folder, configuration)
    return folder


def test_a_policy_plays_a_task_with_other_arguments_by_the_same_weights_and_the_table_says_so(
    trained,
):
    algo = trained.name.rstrip("0123456789")

    def make_env(split):
        return lambda num_envs, **more: gymnasium.make_vec(
            ID, num_envs=num_envs, split=split, **(ELSEWHERE | more)
        )

    task = make_env("test")(num_envs=1).task
    entrants = make_entrants([parse_specification(f"{algo}:{trained}")], task, ID)
    (row,) = run_benchmark(entrants, make_env, "test", 3, seed=0).rows
    assert row.shares.shape == (12, 2)
    assert warnings(entrants, ELSEWHERE, task) == [
        f"{algo} was trained with other --env-kwargs: {{'height': 2}}"
    ]
    assert warnings(entrants, {"height": 2}, task) == []
    policies = [TrainedPolicy(trained, ID) for _ in range(2)]
    digests = []
    for policy, arguments in zip(policies, ({"height": 2}, ELSEWHERE), strict=True):
        policy.load(gymnasium.make_vec(ID, num_envs=1, **arguments))
        policy.reset(np.arange(50))
        observations = np.random.default_rng(0).uniform(-1, 1, (50, 11)).astype(np.float32)
        digests.append((repr(policy), policy.act(observations, {}).tolist()))
    assert digests[0] == digests[1]


def test_a_policy_of_another_number_of_observations_is_refused_in_one_line(trained):
    policy = TrainedPolicy(trained, ID)
    expected = r"was trained on observations of 11 numbers, this environment has 12: give the --env-kwargs of its training$"
    with pytest.raises(ValueError, match=expected) as caught:
        policy.load(gymnasium.make_vec(ID, num_envs=1, patience=2))
    assert "\n" not in str(caught.value)
    assert str(trained) in str(caught.value)


def test_a_policy_brings_the_groups_of_features_that_it_has_seen(tmp_path):
    chosen = {"drop": ["losses"], "add": ["best", "sizes"], "features": "log"}
    configuration = TrainingConfiguration(
        algo="ppo",
        env=ID,
        env_kwargs=chosen,
        num_envs=2,
        n_timesteps=96,
        seed=0,
        hyperparameters={},
    )
    save_configuration(tmp_path, configuration)
    arguments = TrainedPolicy(tmp_path, ID).env_arguments
    assert {name: arguments[name] for name in chosen} == chosen


def test_a_policy_of_another_environment_is_refused(trained):
    with pytest.raises(
        ValueError,
        match=r"was trained on tests\.support\.toy_tasks:Toy/Painter-v0, not on AutoLoss",
    ):
        TrainedPolicy(trained, "AutoLoss/QuadraticRegression-v1")
