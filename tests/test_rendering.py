"""The picture of a run."""

import gymnasium
import numpy as np

SMALL = {"dimension": 4, "num_samples": 20, "max_steps": 20}


def make(num_envs=2, render_mode="rgb_array"):
    return gymnasium.make_vec("AutoLoss/QuadraticRegression-v0", num_envs=num_envs, render_mode=render_mode, **SMALL)


def test_every_run_has_a_picture_of_its_own():
    envs = make()
    envs.reset(seed=0)
    for _ in range(10):
        envs.step(np.array([0, 1]))
    first, second = envs.render()
    assert first.shape == second.shape == (400, 600, 3)
    assert first.dtype == np.uint8
    assert (first != second).any()


def test_the_picture_goes_on_with_the_run_and_starts_over_with_the_next():
    envs = make(num_envs=1)
    envs.reset(seed=0)
    blank = envs.render()[0]
    envs.step(np.array([0]))
    assert (envs.render()[0] != blank).any()
    envs.reset(seed=0)
    np.testing.assert_array_equal(envs.render()[0], blank)


def test_without_a_render_mode_there_is_no_picture():
    assert make(render_mode=None).render() is None
