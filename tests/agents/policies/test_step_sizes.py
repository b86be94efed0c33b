"""Constant and falling step sizes: their values by hand, their grids, and that they are played."""

import gymnasium
import numpy as np
import pytest
import torch

from agents.evaluation.entrants import make_entrant
from agents.evaluation.loop import is_known
from agents.policies.constants import is_constant
from agents.policies.grammar import parse_specification
from autoloss_gym.controllers.policies.cosine_step import CosineStep
from autoloss_gym.tasks.step_sizes.quadratic import QuadraticStepSize
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from tests.support.toy_tasks import Fragile

TASKS = {
    "one pair": QuadraticStepSize(max_steps=8),
    "two pairs": QuadraticRegression(max_steps=8, validate_every=4),
    "no shared blocks": Fragile(),
}


def policies(text, task):
    return make_entrant(parse_specification(text), task, "").candidates


def act(policy, steps):
    return policy.act(np.zeros((len(steps), 1), np.float32), {"steps": np.array(steps)})


def played(text, task, steps):
    (policy,) = policies(text, task)
    policy.reset(np.arange(len(steps)))
    return act(policy, steps)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("text", ["step:0.3", "cosine:0.3"])
def test_every_loss_has_weight_1(text, task):
    control = played(text, task, [0, 3])
    assert torch.equal(control.weights, torch.ones(2, len(task.pairs)))


def test_a_step_size_is_the_same_throughout():
    control = played("step:0.3", TASKS["one pair"], [0, 1, 7])
    torch.testing.assert_close(control.step_size, torch.full((3,), 0.3))


def test_a_cosine_falls_from_its_factor_by_half_in_the_middle_to_nearly_0():
    control = played("cosine:4", TASKS["one pair"], [0, 2, 4, 7])
    expected = torch.tensor([4.0, 2 + 2**0.5, 2.0, 0.152240935])
    torch.testing.assert_close(control.step_size, expected)


def test_a_bare_name_chooses_from_ten_factors_a_decade():
    for name in ("step", "cosine"):
        found = policies(name, TASKS["one pair"])
        assert [found[0].label, found[10].label, found[40].label] == [
            f"{name}:0.01",
            f"{name}:0.1",
            f"{name}:100",
        ]
        assert make_entrant(parse_specification(name), TASKS["one pair"], "").mode == "tuned"
        assert is_constant(found[3]) == (name == "step")


@pytest.mark.parametrize("argument", ["0", "-1", "nan", "inf", "1e-31", "2e6", "x", "1,2"])
@pytest.mark.parametrize("name", ["step", "cosine"])
def test_other_factors_are_refused(name, argument):
    with pytest.raises(ValueError, match=f"policy '{name}:{argument}': expected {name} or"):
        parse_specification(f"{name}:{argument}")


def test_updates_in_a_row_are_planned_as_they_are_played():
    policy = CosineStep("c", 0.7, num_pairs=1, max_steps=6)
    policy.reset(np.arange(1))
    planned = [control.step_size.item() for control in policy.controls(0, 8)]
    acted = [act(policy, [step]).step_size.item() for step in range(8)]
    assert planned == acted
    assert planned[5] == planned[7]


def test_a_cosine_is_played_as_a_policy_that_is_known_in_advance():
    envs = gymnasium.make_vec("AutoLoss/QuadraticStepSize-v0", num_envs=1, max_steps=8)
    assert is_known(CosineStep("c", 0.7, num_pairs=1, max_steps=8), envs)
