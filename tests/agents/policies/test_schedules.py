"""Policies that look at nothing, the rule that balances losses, and SoftAdapt as a policy."""

import numpy as np
import pytest
import torch

from agents.evaluation.rollout import rollout
from agents.policies.balance import Balance
from autoloss_gym.controllers.policies.draws import Draws
from autoloss_gym.controllers.policies.static import FixedWeights, RandomPair, Ratio
from autoloss_gym.controllers.policies.weighting import WeightingPolicy
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.weightings.softadapt import SoftAdapt
from tests.support.toy_tasks import Painter


def act(policy, step=0, runs=4, **infos):
    return policy.act(np.zeros((runs, 1), np.float32), {"steps": np.full(runs, step), **infos})


def test_ratio_repeats_its_order():
    policy = Ratio("3:1", (3, 1))
    policy.reset(np.arange(4))
    assert [int(act(policy, step).choice[0]) for step in range(9)] == [0, 0, 0, 1, 0, 0, 0, 1, 0]


def test_ratio_with_a_zero_never_leaves_its_pair():
    policy = Ratio("always", (0, 1))
    policy.reset(np.arange(4))
    assert {int(act(policy, step).choice[0]) for step in range(5)} == {1}


def test_random_pair_keeps_its_probabilities():
    policy = RandomPair("random", (0.2, 0.5, 0.3))
    policy.reset(np.arange(20_000))
    shares = act(policy, runs=20_000).weights.mean(dim=0)
    torch.testing.assert_close(shares, torch.tensor([0.2, 0.5, 0.3]), atol=0.015, rtol=0)


def test_random_pair_is_a_function_of_the_seed_not_of_the_batch():
    together, alone = RandomPair("random", (0.5, 0.5)), RandomPair("random", (0.5, 0.5))
    together.reset(np.arange(8))
    alone.reset(np.array([5]))
    steps = [(act(together, runs=8).choice[5], act(alone, runs=1).choice[0]) for _ in range(50)]
    assert all(first == second for first, second in steps)
    assert len({int(first) for first, _ in steps}) == 2


def test_a_choice_of_weight_zero_is_never_drawn():
    draws = Draws(np.arange(5000), "test").categorical(np.tile([0.0, 1.0, 0.0], (5000, 1)))
    assert (draws == 1).all()


def test_fixed_weights_use_every_pair_with_its_weight():
    policy = FixedWeights("fixed:2", (1.0, 2.0))
    policy.reset(np.arange(3))
    control = act(policy, runs=3)
    assert control.choice is None
    torch.testing.assert_close(control.weights, torch.tensor([[1.0, 2.0]] * 3))


@pytest.mark.parametrize(
    ("ratio", "losses", "expected"),
    [
        (1.0, [[0.6, 0.7], [0.7, 0.6], [0.5, 0.5], [-3.0, -2.0]], [1, 0, 0, 1]),
        (2.0, [[0.6, 0.7], [0.3, 0.7], [0.4, 0.7], [0.35, 0.7]], [0, 1, 0, 0]),
        (0.5, [[0.6, 0.2, 0.1], [0.6, 0.2, 0.4], [0.6, 0.4, 0.2], [0.0, 0.0, 0.1]], [0, 2, 1, 2]),
    ],
)
def test_balance_updates_the_pair_of_the_largest_loss_the_first_taken_so_many_times(
    ratio, losses, expected
):
    policy = Balance("balance", ratio)
    policy.reset(np.arange(4))
    told = np.array(losses, np.float32)
    before = told.copy()
    control = act(policy, losses=told)
    assert control.choice.tolist() == expected
    torch.testing.assert_close(control.weights, torch.eye(told.shape[1])[expected])
    assert (told == before).all()


def test_balance_goes_by_the_losses_that_are_known_which_are_those_before_the_updates():
    """Painter's losses are −b and b, with b = 8 at first: `lower` is above the −8 known of `raise`
    until it was −8 itself.
    """
    (episodes,) = rollout(
        [Balance("balance")],
        lambda num_envs, **more: AutoLossVectorEnv(Painter(), num_envs),
        np.arange(3),
    )
    np.testing.assert_array_equal(episodes.shares[:, 1], [1] * 17 + [0] * 7)
    assert episodes.figures["score"].tolist() == [8 - 17 + 7] * 3


@pytest.mark.parametrize("sample", [False, True])
def test_softadapt_policy_follows_the_last_refreshed_losses(sample):
    policy = WeightingPolicy("softadapt", SoftAdapt(beta=50.0), sample)
    policy.reset(np.arange(2))
    first = {
        n: np.ones((2, 2), d)
        for n, d in (("losses", "f4"), ("gradient_norms", "f4"), ("losses_refreshed", "?"))
    }
    second = first | {"losses": np.array([[2.0, 0.0]] * 2, np.float32)}
    act(policy, runs=2, **first)
    control = act(
        policy, runs=2, **second
    )  # the first loss rises, the second falls: beta > 0 favours the first
    torch.testing.assert_close(control.weights, torch.tensor([[1.0, 0.0]] * 2))
    assert (control.choice is not None) == sample
