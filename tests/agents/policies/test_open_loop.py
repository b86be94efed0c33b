"""Probabilities that change with progress."""

import numpy as np
import pytest
import torch

from autoloss_gym.controllers.policies.open_loop import OpenLoop


def shares(policy, step, runs=20_000):
    """Share of each pair among the choices of many runs at that step."""
    policy.reset(np.arange(runs))
    control = policy.act(np.zeros((runs, 1), np.float32), {"steps": np.broadcast_to(step, runs)})
    assert torch.equal(control.weights, torch.eye(len(policy.knots[0]))[control.choice])
    return control.weights.mean(dim=0).tolist()


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, 0.8), (50, 0.2), (25, 0.5), (10, 0.68), (75, 0.4), (99, 0.592)],
    ids=["start", "knot", "half-way", "fifth", "second half", "last step"],
)
def test_probabilities_are_those_of_the_knots_and_linear_between(step, expected):
    policy = OpenLoop("p", ((0.8, 0.2), (0.2, 0.8), (0.6, 0.4)), max_steps=100)
    assert shares(policy, step)[0] == pytest.approx(expected, abs=0.015)


def test_all_probabilities_of_three_pairs_are_interpolated():
    policy = OpenLoop("p", ((0.7, 0.2, 0.1), (0.1, 0.3, 0.6)), max_steps=40)
    assert shares(policy, 20) == pytest.approx([0.4, 0.25, 0.35], abs=0.015)


def test_runs_at_different_steps_have_their_own_probabilities_and_the_last_knot_is_the_end_of_training():
    policy, steps = OpenLoop("p", ((1.0, 0.0), (0.0, 1.0)), max_steps=4), np.repeat([0, 1, 3], 8000)
    policy.reset(np.arange(24_000))
    choice = policy.act(np.zeros((24_000, 1), np.float32), {"steps": steps}).choice
    assert [choice[steps == step].mean() for step in (0, 1, 3)] == pytest.approx(
        [0, 0.25, 0.75], abs=0.02
    )
    assert not choice[steps == 0].any()


def test_choices_are_a_function_of_the_seed_not_of_the_batch():
    together, alone = (OpenLoop("p", ((0.5, 0.5), (0.5, 0.5)), max_steps=50) for _ in range(2))
    together.reset(np.arange(8))
    alone.reset(np.array([5]))
    drawn = [[policy.act(np.zeros((n, 1)), {"steps": np.full(n, step)}).choice for policy, n in ((together, 8), (alone, 1))]
             for step in range(50)]  # fmt: skip
    assert all(of_all[5] == of_one[0] for of_all, of_one in drawn)
    assert len({int(of_one[0]) for _, of_one in drawn}) == 2
