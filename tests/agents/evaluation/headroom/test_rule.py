"""The rule that is fitted to clones."""

import numpy as np

from agents.evaluation.headroom.rule import cross_fitted


def costs_of(signal: np.ndarray) -> np.ndarray:
    """Three shifts, of which the second pays where the signal is positive, the third elsewhere."""
    return np.stack([np.ones_like(signal), 1 - signal, 1 + signal])


def test_what_is_visible_is_used():
    signal = np.random.default_rng(0).choice([-0.5, 0.5], 100)
    observations = np.stack([signal, np.ones(100)], axis=1)
    reacting, _ = cross_fitted(observations, costs_of(signal))
    assert reacting.tolist() == np.where(signal > 0, 1, 2).tolist()


def test_where_nothing_is_visible_the_rule_is_the_blind_shift():
    generator = np.random.default_rng(0)
    costs = costs_of(generator.choice([-0.5, 0.5], 200))
    costs[2] -= 0.3
    reacting, blind = cross_fitted(np.ones((200, 3)), costs)
    assert reacting.tolist() == blind.tolist() == [2] * 200


def test_noise_is_not_taken_for_a_signal():
    generator = np.random.default_rng(1)
    costs = generator.normal(size=(3, 400))
    costs[0] -= 1
    reacting, _ = cross_fitted(generator.normal(size=(400, 5)), costs)
    gain = (costs[0] - costs[reacting, np.arange(400)]).mean()
    assert abs(gain) < 0.05
    assert (costs[0] - costs.min(axis=0)).mean() > 0.15  # what a clairvoyant seems to gain


def test_a_problem_does_not_choose_for_itself():
    signal = np.zeros(20)
    costs = costs_of(signal)
    costs[1, 7] = -100.0  # only this problem speaks for the second shift
    reacting, blind = cross_fitted(np.ones((20, 1)), costs)
    assert blind[7] == reacting[7] == 0
    assert (blind[:7] == 1).sum() > 0
