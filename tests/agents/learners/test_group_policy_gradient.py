"""The group policy gradient against values worked out by hand, and whether it learns."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from agents.configuration import TrainingConfiguration
from agents.learners.group_policy_gradient import GroupLearner
from agents.learners.groups import problems
from agents.learners.groups.gradient import GroupRuns, clipped_loss, group_advantages
from agents.learners.groups.gradient import log_probabilities as log_probabilities_of
from agents.learners.groups.options import GroupOptions
from agents.learners.groups.outcomes import outcomes_of
from agents.learners.groups.playing import action_noise, play
from autoloss_gym.controllers.networks.shift_network import ShiftNetwork
from autoloss_gym.core.task import Metric

ID = "AutoLoss/QuadraticRegression-v1"
SMALL = {"dimension": 4, "num_samples": 20, "max_steps": 20, "control": "schedule"}


def configuration(num_envs=8, updates=2, env_kwargs=None, **hyperparameters):
    chosen = {"copies": 4, "search_runs": 0, **hyperparameters}
    return TrainingConfiguration(
        algo="group",
        env=ID,
        env_kwargs=SMALL | (env_kwargs or {}),
        num_envs=num_envs,
        n_timesteps=updates * num_envs * 3,
        seed=1,
        hyperparameters=chosen,
    )


def environment(learner):
    settings = learner._configuration
    return learner._make(settings.num_envs, settings.env_kwargs)


def test_an_advantage_is_the_mean_of_the_problems_copies_less_the_outcome():
    outcomes = torch.tensor([1.0, 3.0, 10.0, 14.0])
    gains = np.array([1.0, -1.0, 2.0, -2.0])
    found = group_advantages(outcomes, GroupOptions(copies=2, scale="batch"))
    np.testing.assert_allclose(found, gains / gains.std(), rtol=1e-6)


def test_scaled_by_group_all_problems_count_alike():
    outcomes = torch.tensor([1.0, 3.0, 10.0, 14.0])
    found = group_advantages(outcomes, GroupOptions(copies=2))
    np.testing.assert_allclose(found, [1.0, -1.0, 1.0, -1.0], rtol=1e-6)


def test_with_the_batch_as_baseline_an_easy_problem_counts_for_its_actions():
    outcomes = torch.tensor([1.0, 3.0, 10.0, 14.0])
    gains = 7.0 - np.array([1.0, 3.0, 10.0, 14.0])
    found = group_advantages(outcomes, GroupOptions(copies=2, baseline="batch", scale="batch"))
    np.testing.assert_allclose(found, gains / gains.std(), rtol=1e-6)


def test_equal_outcomes_have_no_advantage():
    assert not group_advantages(torch.full((4,), 2.5), GroupOptions(copies=2)).any()


def test_the_loss_is_ppos_by_hand():
    played = torch.zeros(1, 4)
    ratios = torch.tensor([[1.5, 1.5, 0.5, 0.5]])
    advantages = torch.tensor([1.0, -1.0, 1.0, -1.0])
    running = torch.ones(1, 4, dtype=torch.bool)
    loss = clipped_loss(torch.log(ratios), played, advantages, running, 0.2)
    assert loss.item() == pytest.approx(-(1.2 - 1.5 + 0.5 - 0.8) / 4)


def test_decisions_after_the_end_of_a_run_count_for_nothing():
    logs = torch.tensor([[0.1, 0.1], [9.0, 0.1]])
    running = torch.tensor([[True, True], [False, True]])
    loss = clipped_loss(logs, torch.zeros(2, 2), torch.tensor([1.0, 1.0]), running, 0.5)
    assert loss.item() == pytest.approx(-math.exp(0.1))


def test_differences_of_log_densities_are_those_of_a_normal_distribution():
    controller = ShiftNetwork(2, 3, 1, 4)
    controller.log_deviations.data[:] = math.log(0.5)
    actions = torch.tensor([[[0.0], [0.5]], [[1.0], [0.25]]])
    played = GroupRuns(torch.zeros(2, 2, 3), actions, torch.ones(2, 2), torch.zeros(2), {})
    found = log_probabilities_of(controller, played)
    expected = torch.distributions.Normal(0.0, 0.5).log_prob(actions).sum(dim=2)
    torch.testing.assert_close(found - found[0, 0], expected - expected[0, 0])


def test_an_untrained_controller_plays_the_base():
    controller = ShiftNetwork(3, 5, 2, 8)
    assert not controller(torch.randn(3, 4, 5)).any()


def test_observations_are_standardised_for_each_decision_and_clipped():
    controller = ShiftNetwork(2, 1, 1, 4, clip=3.0)
    controller.measure(torch.tensor([[[1.0], [3.0]], [[10.0], [10.0]]]))
    controller.action_weights.data.normal_()
    near = controller.at(0, torch.tensor([[2.0 + 3.0], [2.0 + 300.0], [2.0]]))
    assert near[0] == near[1] != near[2]
    assert controller.center.tolist() == [[2.0], [10.0]]
    assert controller.scale[0].item() == 1.0
    assert torch.isfinite(controller.at(1, torch.tensor([[10.0]]))).all()


def test_a_blind_controller_does_the_same_whatever_it_observes():
    torch.manual_seed(0)
    sighted, blind = ShiftNetwork(2, 3, 2, 4), ShiftNetwork(2, 3, 2, 4, blind=True)
    sighted.action_weights.data.normal_()
    sighted.action_biases.data.normal_()
    blind.load_state_dict(sighted.state_dict())
    first, second = torch.randn(2, 5, 3), torch.randn(2, 5, 3)
    assert torch.equal(blind(first), blind(second))
    assert not torch.equal(sighted(first), sighted(second))


def test_runs_at_different_decisions_get_the_action_of_their_own():
    torch.manual_seed(0)
    controller = ShiftNetwork(3, 2, 1, 4)
    controller.action_weights.data.normal_()
    observations = torch.randn(4, 2)
    acted = controller.act(observations, torch.tensor([0, 2, 1, 2]))
    whole = controller(observations.expand(3, 4, 2))
    torch.testing.assert_close(acted, whole[[0, 2, 1, 2], range(4)])


class Errors:
    validation_metrics = (Metric("mse", worst=100.0),)
    score_metrics = (Metric("risk"),)


class Accuracies:
    validation_metrics = (Metric("accuracy", minimize=False, worst=0.1),)
    score_metrics = (Metric("accuracy", minimize=False, worst=0.0),)


def test_outcomes_are_small_where_a_run_was_good():
    final = {
        "best_validation": torch.tensor([0.5, 0.25, 0.75]),
        "best_score": torch.tensor([0.5, 0.25, 0.75]),
        "diverged": torch.tensor([False, False, True]),
    }
    found = outcomes_of(Errors, final, "validation")
    np.testing.assert_allclose(found, np.log([0.5, 0.25, 100.0]), rtol=1e-6)
    found = outcomes_of(Accuracies, final, "validation")
    np.testing.assert_allclose(found, -np.log([0.5, 0.25, 0.1]), rtol=1e-6)
    assert outcomes_of(Errors, final, "truth").tolist() == [0.5, 0.25, 0.75]
    assert outcomes_of(Accuracies, final, "truth").tolist() == [-0.5, -0.25, -0.75]


def test_copies_share_their_problem_and_its_draws_and_differ_in_their_actions():
    learner = GroupLearner(configuration())
    envs = environment(learner)
    seeds = problems.of_update(learner._configuration, 4, 0)
    _, infos = envs.reset(seed=seeds.tolist())
    instances = infos["instance"].view(2, 4)
    assert (instances == instances[:, :1]).all()
    assert instances[0, 0] != instances[1, 0]

    still = play(envs, learner.controller, seeds, torch.zeros(8, 3, 2), learner._options)
    outcomes = still.outcomes.view(2, 4)
    assert (outcomes == outcomes[:, :1]).all()
    noise = action_noise(1, 0, envs, 3)
    moved = play(envs, learner.controller, seeds, noise, learner._options)
    assert len(moved.outcomes.unique()) == 8
    assert len(action_noise(1, 1, envs, 3).unique()) == 48
    assert not torch.equal(noise, action_noise(1, 1, envs, 3))


def test_the_phases_of_a_training_and_other_seeds_share_no_problem():
    settings = configuration(num_envs=8)
    found = [np.arange(64) + problems.first_of_search(settings), problems.of_measurement(settings)]
    found += [np.unique(problems.of_update(settings, 4, update)) for update in range(3)]
    other = dataclasses.replace(settings, seed=2)
    found += [problems.of_measurement(other), np.unique(problems.of_update(other, 4, 0))]
    numbers = np.concatenate(found)
    assert len(np.unique(numbers)) == len(numbers)


def test_noise_of_given_actions_reaches_the_environment():
    learner = GroupLearner(configuration())
    envs = environment(learner)
    seeds = problems.of_measurement(learner._configuration)
    base = play(envs, learner.controller, seeds, None, learner._options)
    assert not base.actions.any()
    assert base.running.all()
    assert base.observations.shape == (3, 8, learner.controller.center.shape[1])
    assert base.figures["steps"] == 20


def test_runs_that_end_early_keep_the_outcome_of_their_end():
    learner = GroupLearner(configuration(env_kwargs={"patience": 1, "learning_rate": 0.5}))
    envs = environment(learner)
    seeds = problems.of_update(learner._configuration, 4, 0)
    played = play(envs, learner.controller, seeds, action_noise(1, 0, envs, 3), learner._options)
    assert not played.running.all()
    assert played.figures["steps"] < 20
    assert torch.isfinite(played.outcomes).all()
    assert (played.outcomes != 0).all()


def test_it_learns_to_enlarge_steps_that_are_too_small(tmp_path):
    settings = configuration(
        num_envs=64,
        updates=12,
        env_kwargs={"learning_rate": 1e-3},
        copies=16,
        learning_rate=0.05,
    )
    learner = GroupLearner(settings)
    learner.train(tmp_path)
    envs = environment(learner)
    seeds = problems.of_measurement(dataclasses.replace(settings, seed=5))
    still = torch.zeros(64, 3, 2)
    base = play(envs, learner.controller, seeds, None, learner._options)
    trained = play(envs, learner.controller, seeds, still, learner._options)
    assert trained.outcomes.mean() < base.outcomes.mean() - 0.05
    assert trained.actions[:, :, 1].mean() > 0.1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"env_kwargs": {"control": "pair"}}, "--algo group shifts a schedule at a few decisions"),
        ({"env_kwargs": {"control_arguments": {"levels": 3}}}, "leave out levels"),
        ({"copies": 3}, "--num-envs 8: expected a multiple of copies=3"),
        ({"copies": 1}, "copies=1: expected an integer from 2"),
        ({"search_runs": 10}, "search_runs=10: expected 0, or at least the 512 of a generation"),
        ({"baseline": "none"}, "baseline='none': expected"),
        ({"entropy": 1}, "unknown argument of GroupOptions"),
        ({"updates": 10**6}, "1,000,000 updates use 2,000,000 problems"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_training_begins(changes, expected):
    with pytest.raises(ValueError) as caught:
        GroupLearner(configuration(**changes))
    assert expected in str(caught.value).replace(": got an unexpected keyword", "")
