"""Step sizes: relative ones that a run remembers, levels, what is observed, and one a run."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from autoloss_gym import AutoLossVectorEnv, Control
from autoloss_gym.controls import ScaleStep
from autoloss_gym.environment.runs import describe
from autoloss_gym.tasks.step_sizes.quadratic import QuadraticStepSize
from tests.support.toy_tasks import SMALL

ID = "AutoLoss/QuadraticStepSize-v0"
TASK = QuadraticStepSize(max_steps=8, validate_every=4)
CPU = torch.device("cpu")


def made(num_envs=2, task=TASK, **arguments):
    """An environment of relative step sizes, which counts what it plays."""
    given = {"relative": True, **arguments.pop("control_arguments", {})}
    envs = AutoLossVectorEnv(
        task, num_envs, control="step_size", control_arguments=given, **arguments
    )
    envs.reset(seed=0)
    return envs


def step(envs, *actions):
    return envs.step(np.array(actions, dtype=np.float32)[:, None])


def last(envs):
    """Factors of the last updates, as the runs remember them."""
    return envs._batch.runs.history.step_size.tolist()


# Relative


def test_a_relative_factor_is_on_the_step_size_of_the_last_update():
    envs = made()
    assert last(envs) == [1.0, 1.0]
    step(envs, 1.0, 0.0)
    assert last(envs) == pytest.approx([10.0, 1.0])
    step(envs, -0.5, -1.0)
    assert last(envs) == pytest.approx([10**0.5, 0.1])
    step(envs, 0.0, 0.0)
    assert last(envs) == pytest.approx([10**0.5, 0.1])


def test_it_is_the_step_size_that_the_task_takes():
    relative, plain = made(num_envs=1), AutoLossVectorEnv(TASK, 1, control="step_size")
    plain.reset(seed=0)
    for first, second in ((0.3, 0.3), (-0.5, -0.2), (0.1, -0.1)):
        step(relative, first)
        step(plain, second)
    found, expected = (each._batch.runs.state.parameters["point"] for each in (relative, plain))
    torch.testing.assert_close(found, expected)


def test_it_stays_within_its_limit_and_comes_back_from_there_at_once():
    envs = made(num_envs=2, control_arguments={"limit": 20.0})
    for _ in range(3):
        step(envs, 1.0, -1.0)
    assert last(envs) == pytest.approx([20.0, 1 / 20])
    step(envs, -1.0, 1.0)
    assert last(envs) == pytest.approx([2.0, 0.5])


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_a_new_run_begins_with_the_learning_rate(mode):
    envs = made(num_envs=1, autoreset_mode=mode)
    for _ in range(8):
        step(envs, -0.1)
    if mode == "NextStep":
        assert last(envs) == pytest.approx([10**-0.8])
        step(envs, 1.0)  # begins the next run, whatever the action
    assert last(envs) == [1.0]
    step(envs, 0.5)
    assert last(envs) == pytest.approx([10**0.5])


def test_a_reset_of_some_runs_leaves_the_step_sizes_of_the_others():
    envs = made(num_envs=2, autoreset_mode="Disabled")
    step(envs, 0.5, 0.5)
    envs.reset(options={"reset_mask": np.array([True, False])})
    assert last(envs) == pytest.approx([1.0, 10**0.5])


def test_an_update_that_uses_no_loss_leaves_the_step_size_as_it_was():
    envs = made(num_envs=2)
    step(envs, 0.5, 0.5)
    weights = torch.tensor([[0.0], [1.0]])
    envs.step_control(Control(weights=weights, step_size=torch.full((2,), 7.0)))
    assert last(envs) == pytest.approx([10**0.5, 7.0])


def test_a_held_action_multiplies_once():
    envs = made(num_envs=1, repeat=2)
    step(envs, 0.5)
    assert last(envs) == pytest.approx([10**0.5])
    step(envs, 0.5)
    assert last(envs) == pytest.approx([10.0])


def test_a_relative_action_is_alike_alone_and_in_a_batch():
    many, one = made(num_envs=3), made(num_envs=1)
    one.reset(seed=2)
    for action in (0.3, -0.7, 0.9, 0.2):
        seen, *_ = step(many, -0.3, 0.1, action)
        alone, *_ = step(one, action)
        np.testing.assert_array_equal(seen[2], alone[0])


# Levels


def test_levels_are_equal_ratios_from_the_least_to_the_greatest_factor():
    control = ScaleStep(levels=5)
    assert control.action_space(describe(SMALL)) == spaces.Discrete(5)
    found = control(describe(SMALL), np.arange(5), 5, CPU)
    np.testing.assert_allclose(found.step_size, [0.1, 10**-0.5, 1.0, 10**0.5, 10.0], rtol=1e-6)
    assert found.weights.tolist() == [[1.0, 1.0]] * 5


@pytest.mark.parametrize("bad", [5, -1])
def test_a_level_that_there_is_not_is_refused_with_the_number_of_its_environment(bad):
    with pytest.raises(ValueError, match=r"environments 1 .*integers from 0 to 4"):
        ScaleStep(levels=5)(describe(SMALL), np.array([0, bad]), 2, CPU)


def test_relative_levels_multiply_the_last_step_size():
    envs = made(num_envs=2, control_arguments={"levels": 3})
    for _ in range(2):
        envs.step(np.array([2, 1]))
    assert last(envs) == pytest.approx([100.0, 1.0])


# What is observed


def test_relative_step_sizes_are_observed_and_others_where_that_is_asked_for():
    assert "step_size" in made().features.groups
    plain = AutoLossVectorEnv(TASK, 1, control="step_size")
    assert "step_size" not in plain.features.groups
    envs = AutoLossVectorEnv(TASK, 2, control="step_size", add="step_size", features="raw")
    observations, _ = envs.reset(seed=0)
    assert envs.features.groups[-1] == "step_size"
    assert observations[:, -1].tolist() == [1.0, 1.0]
    observations, *_ = step(envs, 0.5, -1.0)
    np.testing.assert_allclose(observations[:, -1], [10**0.5, 0.1], rtol=1e-6)


# One decision a run, and controls


def test_an_action_for_a_whole_run_is_one_step_of_the_environment():
    envs = gymnasium.make_vec(ID, num_envs=2, max_steps=8, repeat=8)
    often = gymnasium.make_vec(ID, num_envs=2, max_steps=8)
    envs.reset(seed=0)
    often.reset(seed=0)
    action = np.array([[-0.5], [0.2]], dtype=np.float32)
    _, rewards, ended, _, infos = envs.step(action)
    paid = 0.0
    for _ in range(8):
        _, reward, _, _, others = often.step(action)
        paid = paid + reward
    assert ended.all()
    np.testing.assert_allclose(rewards, paid, rtol=1e-5)
    np.testing.assert_array_equal(infos["final_info"]["score"], others["final_info"]["score"])


@pytest.mark.parametrize("repeat", [3, 12])
def test_a_step_that_fits_no_validation_or_outlasts_the_run_is_refused(repeat):
    with pytest.raises(ValueError, match="a divisor or a multiple of validate_every=4"):
        gymnasium.make_vec(ID, num_envs=2, max_steps=8, repeat=repeat)


@pytest.mark.parametrize("bad", [-0.1, float("nan"), float("inf")])
def test_a_step_size_that_is_negative_or_no_number_is_refused(bad):
    envs = made(num_envs=2)
    control = Control(weights=torch.ones(2, 1), step_size=torch.tensor([1.0, bad]))
    with pytest.raises(ValueError, match=r"environments 1 .*a finite step size of at least 0"):
        envs.step_control(control)
