"""Clones of running training runs."""

import numpy as np
import pytest

from agents.evaluation.headroom.player import Player
from agents.evaluation.headroom.runs import Batch, logs_at, play_branches, play_schedules
from agents.evaluation.store import Store
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from tests.support.toy_tasks import SMALL, Fragile
from tests.support.two_targets import TwoTargets

SEEDS = np.arange(3)


def envs_of(task, **arguments):
    return lambda num_envs: AutoLossVectorEnv(task=task, num_envs=num_envs, **arguments)


def test_logarithms_are_linear_between_knots():
    knots = np.array([[0.0, 1.0], [2.0, 1.0], [0.0, -1.0]])
    found = [logs_at(knots, progress).tolist() for progress in (0, 0.25, 0.5, 0.75)]
    assert found == [[0, 1], [1, 1], [2, 1], [1, 0]]
    assert logs_at(knots[:1], 0.7).tolist() == [0, 1]


@pytest.mark.parametrize("draw", [False, True])
def test_a_clone_that_is_not_shifted_ends_like_the_run_it_was_cloned_from(draw):
    schedule = np.array([[-1.0, 0.5], [0.5, 0.0]])
    shifts = np.array([[0.0, 0.0], [1.0, -0.5]])
    whole = play_schedules(envs_of(SMALL), schedule[None], SEEDS, draw)
    cloned = play_branches(envs_of(SMALL), schedule, shifts, (5, 10), SEEDS, draw)
    for name, values in whole.items():
        np.testing.assert_array_equal(cloned[name][:, 0], np.repeat(values, 2, axis=0))
    assert (cloned["best_score"][0, 1] != cloned["best_score"][0, 0]).any()


def test_a_clone_ends_like_a_run_that_was_shifted_at_that_update():
    constant, shift, moment = np.array([[-1.0, 0.5]]), np.array([1.0, -0.5]), 10
    cloned = play_branches(envs_of(SMALL), constant, shift[None], (moment,), SEEDS, draw=False)
    envs = envs_of(SMALL)(num_envs=3)
    envs.reset(seed=0)
    batch = Batch(envs, constant[None].repeat(3, axis=0), SEEDS, draw=False)
    batch.play(0, moment)
    batch.knots = batch.knots + shift
    batch.play(moment, SMALL.max_steps)
    np.testing.assert_array_equal(cloned["best_score"][0, 0], batch.figures["best_score"])


def test_the_observation_is_that_of_the_moment_of_the_clone():
    task = TwoTargets()
    found = play_branches(envs_of(task), np.zeros((1, 2)), np.zeros((1, 2)), (2, 6), SEEDS, False)
    assert found["observations"][:, :, 0].tolist() == [[0.25] * 3, [0.75] * 3]


def test_clones_of_runs_that_have_ended_have_their_figures():
    # A broken loss ends these runs at their first validation.
    envs = envs_of(Fragile())
    found = play_branches(envs, np.zeros((1, 2)), np.array([[0, 0], [2.0, 0]]), (8,), SEEDS, False)
    assert found["diverged"].all()
    assert (found["best_score"] == 50).all()


def test_weights_sum_to_the_number_of_pairs_and_equal_ones_are_the_default_training():
    envs = envs_of(TwoTargets())(num_envs=1)
    batch = Batch(envs, np.array([[[np.log(3), np.log(2)]]]), np.zeros(1, np.int64), draw=False)
    control = batch._control(0)
    np.testing.assert_allclose(control.weights, [[0.5, 1.5]])
    np.testing.assert_allclose(control.step_size, [2.0])


def test_pairs_are_drawn_with_the_probabilities_of_the_schedule():
    envs = envs_of(TwoTargets())(num_envs=4000)
    knots = np.full((4000, 1, 2), [np.log(3), 0.0])
    batch = Batch(envs, knots, np.arange(4000), draw=True)
    assert batch._control(0).choice.mean() == pytest.approx(0.75, abs=0.03)


def test_batches_are_played_once_and_give_the_same_however_they_are_divided(tmp_path):
    make_env = envs_of(SMALL)
    shifts, base = np.array([[0.0, 0.0], [1.0, 0.0]]), np.zeros((1, 2))
    expected = play_branches(make_env, base, shifts, (5, 10), SEEDS, draw=False)
    player = Player(make_env, store=Store(tmp_path), num_workers=2)
    first = player.branches(base, shifts, (5, 10), SEEDS)
    store = Store(tmp_path)
    without_env = Player(lambda num_envs: None, store=store, num_workers=2)
    again = without_env.branches(base, shifts, (5, 10), SEEDS)
    for name, values in expected.items():
        np.testing.assert_array_equal(first[name], values)
        np.testing.assert_array_equal(again[name], values)
