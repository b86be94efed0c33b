"""The rewards of an online controller are those of `Improvement`."""

import math

import numpy as np
import pytest

from autoloss_gym import AutoLossVectorEnv
from autoloss_gym.controllers.online.gains import SegmentGains
from autoloss_gym.core.task import Metric
from autoloss_gym.signals.rewards import Improvement
from autoloss_gym.tasks.supervised.mlp_classification import MLPClassification
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression


def paid(gains, values, segment=1):
    """Rewards of one run that shows these values at the ends of its segments."""
    found = [gains.pay(np.array([i * segment]), np.array([v])) for i, v in enumerate(values)]
    return [float(each[0]) for each in found]


def test_a_gain_is_relative_to_the_mean_of_the_last_segments():
    """10 → 8 → 5 → 5 → 4, of 2 segments: 2/1, 3/2.5, 0/1.5 and 1/0.5."""
    gains = SegmentGains(Metric("error"), segment=3, window=2, floor=0.1)
    assert paid(gains, [10.0, 8.0, 5.0, 5.0, 4.0], 3) == pytest.approx([0, 2, 1.2, 0, 2])


def test_where_there_is_no_gain_the_floor_divides_and_no_reward_is_beyond_100():
    gains = SegmentGains(Metric("accuracy", minimize=False), segment=1, window=2, floor=0.1)
    assert paid(gains, [0.5, 0.25, 0.25, 1e6, -1e6]) == pytest.approx([0, -2.5, 0, 2, -100])


def test_nothing_is_paid_within_a_segment():
    gains = SegmentGains(Metric("error"), segment=5, window=2, floor=0.1)
    rewards = [gains.pay(np.array([step]), np.array([9.0 - step]))[0] for step in range(6)]
    assert rewards == [0, 0, 0, 0, 0, 2]


@pytest.mark.parametrize(
    "task",
    [
        QuadraticRegression(max_steps=60, validate_every=5),
        MLPClassification(max_steps=60, validate_every=5),
    ],
)
def test_an_environment_pays_the_same_for_improvement(task):
    reward = Improvement(segment=10, window=3, floor=0.02)
    envs = AutoLossVectorEnv(task, 6, reward=reward, autoreset_mode="Disabled")
    gains = SegmentGains(task.validation_metrics[0], 10, 3, 0.02)
    _, infos = envs.reset(seed=0)
    gains.pay(infos["steps"], infos["validation"][:, 0])
    ended, some = False, False
    while not ended:
        _, expected, terminated, _, infos = envs.step(np.arange(6) % 2)
        found = gains.pay(infos["steps"], infos["validation"][:, 0])
        np.testing.assert_allclose(found, expected.clip(-100, 100), rtol=1e-3, atol=1e-4)
        some |= bool(expected.any())
        ended = terminated.all()
    assert some


@pytest.mark.parametrize("value", [math.inf, math.nan, -math.inf, 1e38])
@pytest.mark.parametrize("worst", [math.inf, 50.0])
def test_rewards_are_finite_whatever_is_validated(value, worst):
    gains = SegmentGains(Metric("error", worst=worst), segment=1, window=2, floor=1e-3)
    rewards = paid(gains, [value, 1.0, value, value, 0.5])
    assert all(math.isfinite(each) and abs(each) <= 100 for each in rewards)


def test_what_is_not_finite_counts_for_the_worst_value_or_for_nothing():
    bounded = SegmentGains(Metric("error", worst=3.0), segment=1, window=1, floor=1.0)
    assert paid(bounded, [1.0, math.nan, 7.0, 2.0]) == [0, -2, 0, 1]
    unbounded = SegmentGains(Metric("error"), segment=1, window=1, floor=1.0)
    assert paid(unbounded, [1.0, math.nan, math.inf, 0.5]) == [0, 0, 0, 0.5]
