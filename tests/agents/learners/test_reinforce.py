"""REINFORCE against values worked out by hand, and whether it learns."""

import math

import numpy as np
import pytest
import torch

from agents.configuration import TrainingConfiguration
from agents.learners.policy_gradient import (
    Baseline,
    ReinforceOptions,
    Sequences,
    policy_loss,
    step_rewards,
)
from agents.learners.reinforce import ReinforceLearner
from autoloss_gym.controllers.networks.perceptron import Perceptron

SMALL = {"dimension": 4, "num_samples": 20, "max_steps": 20, "learning_rate": 0.05}


def configuration(num_envs=4, env_kwargs=None, **hyperparameters):
    return TrainingConfiguration(
        algo="reinforce",
        env="AutoLoss/QuadraticRegression-v1",
        env_kwargs=SMALL | (env_kwargs or {}),
        num_envs=num_envs,
        n_timesteps=num_envs * 20,
        seed=0,
        hyperparameters=hyperparameters,
    )


def sequences(actions, running=None, step_rewards=None):
    actions = torch.tensor(actions)
    running = (
        torch.ones_like(actions, dtype=torch.bool) if running is None else torch.tensor(running)
    )
    rewards = torch.zeros(actions.shape) if step_rewards is None else torch.tensor(step_rewards)
    return Sequences(
        torch.ones(*actions.shape, 1), actions, running, rewards, torch.zeros(actions.shape[1]), {}
    )


def controller(logits):
    """A linear controller with these logits at every observation."""
    linear = Perceptron(1, len(logits), (), 1.0)
    linear.layers[0].weight.data.zero_()
    linear.layers[0].bias.data.copy_(torch.tensor(logits))
    return linear


def test_the_loss_is_the_papers_by_hand():
    policy = controller([math.log(3.0), 0.0])  # probabilities 3/4 and 1/4
    played = sequences([[0, 1], [0, 0]])  # two steps of two runs
    expected = -(2.0 * 2 * math.log(0.75) - 1.0 * (math.log(0.25) + math.log(0.75))) / 2
    loss = policy_loss(policy, played, torch.tensor([2.0, -1.0]), ReinforceOptions())
    assert loss.item() == pytest.approx(expected)
    mean = policy_loss(
        policy, played, torch.tensor([2.0, -1.0]), ReinforceOptions(mean_over_steps=True)
    )
    assert mean.item() == pytest.approx(expected / 2)


def test_a_step_of_descent_makes_rewarded_actions_more_probable():
    policy = controller([0.0, 0.0])
    policy_loss(
        policy, sequences([[0, 1]]), torch.tensor([1.0, -1.0]), ReinforceOptions()
    ).backward()
    assert policy.layers[0].bias.grad[0] < 0 < policy.layers[0].bias.grad[1]


def test_steps_after_the_end_of_a_run_count_for_nothing():
    policy, advantages = controller([1.0, 0.0]), torch.tensor([1.0])
    long = sequences([[0], [1], [1]], running=[[True], [False], [False]])
    for options in (ReinforceOptions(), ReinforceOptions(mean_over_steps=True)):
        assert policy_loss(policy, long, advantages, options) == policy_loss(
            policy, sequences([[0]]), advantages, options
        )


def test_step_rewards_are_added_to_the_advantage_of_their_step():
    policy = controller([0.0, 0.0])
    loss = policy_loss(
        policy,
        sequences([[0], [1]], step_rewards=[[3.0], [0.0]]),
        torch.tensor([1.0]),
        ReinforceOptions(),
    )
    assert loss.item() == pytest.approx(-(4.0 + 1.0) * math.log(0.5))


def test_the_paper_subtracts_the_old_baseline_and_the_release_the_new_one():
    paper, release = (
        Baseline(ReinforceOptions(update_baseline_first=first)) for first in (False, True)
    )
    for baseline, expected in ((paper, 10.0), (release, 8.0)):
        assert baseline.advantages(torch.tensor([5.0])).item() == 0
        assert baseline.advantages(torch.tensor([15.0])).item() == pytest.approx(expected)
        assert baseline.value.item() == pytest.approx(0.8 * 5 + 0.2 * 15)


def test_advantages_are_clipped():
    baseline = Baseline(ReinforceOptions(advantage_clip=1.0))
    torch.testing.assert_close(
        baseline.advantages(torch.tensor([0.0, 10.0])), torch.tensor([-1.0, 1.0])
    )


def test_the_temperature_flattens_the_controller():
    torch.manual_seed(0)
    sharp = Perceptron(3, 2, (4,), 1.0)
    flat = Perceptron(3, 2, (4,), 2.0)
    flat.load_state_dict(sharp.state_dict())
    observations = torch.randn(5, 3)
    torch.testing.assert_close(flat(observations), sharp(observations) / 2)


def test_step_rewards_follow_the_released_formula_by_hand():
    options = ReinforceOptions(step_reward=True, step_reward_scale=2.0, step_reward_clip=5.0)
    metrics = torch.tensor([[8.0], [8.0], [6.0], [7.0], [1e-3 - 1e6]])
    rewards = step_rewards(metrics, minimize=True, options=options)
    first, second = 0.8 * 0.1 + 0.2 * 2, 0.8 * (0.8 * 0.1 + 0.2 * 2) - 0.2
    expected = [0.0, 2 * math.sqrt(2 / (first + 1e-5)), -2 * math.sqrt(1 / (second + 1e-5))]
    np.testing.assert_allclose(rewards[:3, 0], expected, rtol=1e-5)
    assert rewards[3, 0] <= 2 * 5.0


@pytest.mark.parametrize("num_envs", [1, 5])
@pytest.mark.parametrize("patience", [0, 1])
def test_a_sequence_ends_where_its_run_ends(num_envs, patience):
    learner = ReinforceLearner(
        configuration(num_envs=num_envs, env_kwargs={"patience": patience, "learning_rate": 0.5})
    )
    played = learner.play()
    assert played.actions.shape == played.running.shape == played.step_rewards.shape
    assert played.observations.shape == (
        *played.actions.shape,
        learner.controller.layers[0].in_features,
    )
    lengths = played.running.sum(dim=0)
    assert lengths.double().mean().item() == pytest.approx(played.figures["steps"])
    assert (lengths < 20).any() == bool(patience)
    assert (played.final_rewards > 0).all()


def test_training_is_repeatable_and_moves_the_weights(tmp_path):
    trained = []
    for name in ("first", "second"):
        learner = ReinforceLearner(configuration(learning_rate=0.1))
        before = [parameter.clone() for parameter in learner.controller.parameters()]
        learner.train(tmp_path / name)
        trained.append(list(learner.controller.parameters()))
        assert any((old != new).any() for old, new in zip(before, trained[-1], strict=True))
    assert all(torch.equal(one, other) for one, other in zip(*trained, strict=True))


def test_it_learns_to_leave_a_loss_that_only_harms(tmp_path):
    harmful = {"l1_coefficient": 0.0, "max_steps": 40}  # a step on a penalty of 0 is a step lost
    learner = ReinforceLearner(configuration(num_envs=16, env_kwargs=harmful, learning_rate=0.05))
    before = learner.play()
    learner._configuration = TrainingConfiguration(
        **{**vars(learner._configuration), "n_timesteps": 16 * 40 * 40}
    )
    learner.train(tmp_path)
    after = learner.play()
    assert (before.actions == 0).float().mean() < 0.7
    assert (after.actions == 0).float().mean() > 0.8


def test_bad_options_and_continuous_actions_are_one_line():
    with pytest.raises(ValueError, match="did you mean 'temperature'"):
        ReinforceLearner(configuration(temperatur=2.0))
    with pytest.raises(ValueError, match="leave out control=weights"):
        ReinforceLearner(configuration(env_kwargs={"control": "weights"}))
