"""PPO on tensors: the policy and the log of Stable-Baselines3, learning, and no wait on the way."""

import csv

import pytest
import torch
from stable_baselines3.common.logger import Logger

from agents.configuration import TrainingConfiguration
from agents.learners.distributions import Categorical, Gaussian, distribution_of
from agents.learners.learner import make_learner
from agents.learners.proximal.options import TensorPPOOptions
from agents.learners.proximal.rollouts import Collector
from agents.learners.proximal.updates import update
from agents.learners.stable_baselines3 import build_policy
from agents.learners.tensor_ppo import TensorPPOLearner
from autoloss_gym.environment import vector_env
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from tests.support.as_on_a_gpu import AsOnAGpu
from tests.support.toy_tasks import TwoBlocks

ID = "AutoLoss/QuadraticRegression-v1"
SMALL = {"dimension": 4, "num_samples": 20, "max_steps": 20, "learning_rate": 0.05}
BRIEF = {"n_steps": 20, "batch_size": 40, "n_epochs": 2}


def configuration(algo="tensor_ppo", n_timesteps=160, env_kwargs=None, num_envs=4, **changes):
    return TrainingConfiguration(
        algo=algo,
        env=ID,
        env_kwargs={**SMALL, **(env_kwargs or {})},
        num_envs=num_envs,
        n_timesteps=n_timesteps,
        seed=5,
        hyperparameters={**BRIEF, **changes},
    )


@pytest.mark.parametrize("env_kwargs", [{}, {"control": "weights"}], ids=["discrete", "box"])
def test_first_weights_and_the_names_in_the_log_are_those_of_stable_baselines3(
    env_kwargs, tmp_path
):
    networks = {"policy_kwargs": {"net_arch": {"pi": [4], "vf": [8, 8]}}}
    columns, weights = [], []
    for algo in ("ppo", "tensor_ppo"):
        learner = make_learner(configuration(algo, env_kwargs=env_kwargs, **networks))
        policy = learner._model.policy if algo == "ppo" else learner.policy
        weights.append({name: each.clone() for name, each in policy.state_dict().items()})
        folder = tmp_path / algo
        folder.mkdir()
        learner.train(folder)
        with (folder / "progress.csv").open() as file:
            columns.append(set(next(csv.reader(file))))
    assert columns[0] == columns[1]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(each, weights[1][name]) for name, each in weights[0].items())


def test_it_learns_which_loss_is_good(tmp_path):
    brief = {"n_steps": 8, "batch_size": 64, "n_epochs": 4, "learning_rate": 0.003}
    learner = TensorPPOLearner(
        TrainingConfiguration(
            algo="tensor_ppo",
            env="tests.support.toy_tasks:Toy/Painter-v0",
            env_kwargs={"max_steps": 8, "validate_every": 2},
            num_envs=16,
            n_timesteps=8 * 8 * 16,
            seed=0,
            hyperparameters=brief,
        )
    )
    before = learner.advance(Logger(None, [])).actions
    learner.train(tmp_path)
    after = learner.advance(Logger(None, [])).actions
    assert (before == 0).float().mean() < 0.7
    assert (after == 0).float().mean() > 0.9


@pytest.mark.parametrize(("control", "target"), [("pair", None), ("weights", 1e-9)])
def test_rollouts_and_updates_read_nothing_from_the_device(control, target, monkeypatch):
    """But an update with `target_kl`, which has to."""
    monkeypatch.setattr(vector_env, "available_device", torch.device)
    task = TwoBlocks(max_steps=8, validate_every=8)
    envs = AutoLossVectorEnv(task, 3, control=control, device="meta", array="torch")
    options = TensorPPOOptions(n_steps=4, batch_size=8, n_epochs=2, target_kl=target)
    policy = build_policy(configuration(), envs).to("meta")
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-3)
    distribution = distribution_of(policy)
    order = torch.randperm(12, device="meta")
    observations, _ = envs.reset(seed=0)
    collector = Collector(envs, policy, distribution, None, observations)
    collector.collect(options, lambda *_: None)  # what is computed once in a process is there
    envs.reset()
    with AsOnAGpu(set()) as mode:
        rollout = collector.collect(options, lambda *_: None)
        assert not mode.uploaded
        assert rollout.advantages.is_meta
        if target is None:
            update(policy, distribution, optimizer, rollout, [order], options)
        else:
            with pytest.raises(RuntimeError, match="makes the host wait"):
                update(policy, distribution, optimizer, rollout, [order], options)


def test_actions_are_drawn_with_their_probabilities():
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.tensor([0.7, 0.3, 0.1, 0.2, 0.7])
    several = Categorical((2, 3))
    cpu = torch.device("cpu")
    noise = several.noise(20_000, generator, cpu)
    actions = several.sample(probabilities.log().expand(20_000, 5), noise)
    for column, expected in zip(actions.T, probabilities.split((2, 3)), strict=True):
        shares = torch.bincount(column) / len(column)
        torch.testing.assert_close(shares, expected, rtol=0, atol=0.01)

    deviations, means = torch.tensor([0.5, 2.0]), torch.tensor([3.0, -1.0])
    normal = Gaussian(deviations.log())
    drawn = normal.sample(means.expand(20_000, 2), normal.noise(20_000, generator, cpu))
    torch.testing.assert_close(drawn.mean(dim=0), means, rtol=0, atol=0.05)
    torch.testing.assert_close(drawn.std(dim=0), deviations, rtol=0.02, atol=0)


def test_bad_hyperparameters_are_one_line():
    refused = {
        "gama": ({"gama": 0.9}, "did you mean 'gamma'"),
        "sde": ({"use_sde": True}, "unknown hyper-parameter of TensorPPO 'use_sde'"),
        "gamma": ({"gamma": 2}, "gamma=2: expected a number from 0 to 1"),
        "batch": ({"batch_size": 1}, "batch_size=1: expected at least 2"),
        "steps": ({"n_steps": 1, "num_envs": 1}, "expected at least 2 steps in a rollout"),
        "network": ({"policy_kwargs": {"activation_fn": "tanh"}}, "does not accept these hyper"),
    }
    for changes, expected in refused.values():
        with pytest.raises(ValueError, match=expected) as caught:
            make_learner(configuration(**changes))
        assert "\n" not in str(caught.value)
