"""What a run wants to be small, with its graph."""

import pytest
import torch

from autoloss_gym.core.task import Control, Task
from autoloss_gym.tasks.step_sizes.least_squares import LeastSquaresStepSize
from autoloss_gym.tasks.step_sizes.quadratic import QuadraticStepSize
from autoloss_gym.tasks.supervised.mlp_classification import MLPClassification
from autoloss_gym.tools import tree
from tests.support.toy_tasks import SMALL, TwoBlocks, keys_of

SHORT = {"max_steps": 4, "validate_every": 2}
TASKS = {
    "regression": SMALL,
    "classification": MLPClassification(**SHORT),
    "quadratic": QuadraticStepSize(**SHORT),
    "least squares": LeastSquaresStepSize(meta="validation", **SHORT),
}


def stepped(task, step_size):
    state = task.reset(keys_of(1, 2))
    weights = torch.ones(2, len(task.pairs))
    return task.update(state, Control(weights, step_size), differentiable=True)[0]


@pytest.mark.parametrize("part", ["train", "validation"])
@pytest.mark.parametrize("name", TASKS)
def test_an_objective_has_one_value_a_run_and_a_gradient_by_the_step_size(name, part):
    step_size = torch.ones(2, requires_grad=True)
    values = TASKS[name].objective(stepped(TASKS[name], step_size), part)
    assert values.shape == (2,)
    (found,) = torch.autograd.grad(values[0], step_size)
    assert found[0] != 0
    assert found[1] == 0


def test_on_training_data_it_is_the_first_loss_of_the_next_update():
    state = stepped(SMALL, torch.ones(2))
    measured = SMALL.measure(state).losses[:, 0]
    torch.testing.assert_close(SMALL.objective(state, "train").detach(), measured)


def test_on_validation_data_it_is_the_first_metric_that_is_minimised():
    task = TASKS["classification"]  # its accuracy comes first, and has no gradient
    state = stepped(task, torch.ones(2))
    found = task.objective(state, "validation").detach()
    torch.testing.assert_close(found, task.validate(state)[:, 1])
    largest = TwoBlocks(minimize=False)
    state = stepped(largest, torch.ones(2))
    size = largest.objective(state, "validation").detach()
    torch.testing.assert_close(size, largest.validate(state)[:, 1])


def test_the_log_objective_is_finite_where_the_objective_is_not():
    task = QuadraticStepSize(eigenvalues=(4.0, 1.0), max_steps=80, learning_rate=5.0)
    state = task.reset(keys_of(0))
    for _ in range(80):
        state, _ = task.update(state, Control(torch.ones(1, 1), torch.ones(1)))
    assert task.objective(state).isinf()
    assert task.log_objective(state).isfinite()
    torch.testing.assert_close(task.log_root_objective(state), task.log_objective(state) / 80)


@pytest.mark.parametrize("name", TASKS)
def test_a_differentiable_update_leaves_its_state_alone_and_copies_no_data(name):
    task = TASKS[name]
    state = task.reset(keys_of(1, 2))
    before = tree.clone(state)
    control = Control(torch.ones(2, len(task.pairs)), torch.ones(2))
    after, _ = task.update(state, control, differentiable=True)
    for kept, now in zip(tree.leaves(before), tree.leaves(state), strict=True):
        assert torch.equal(kept, now)
    assert all(
        old is new
        for old, new in zip(tree.leaves(state.data), tree.leaves(after.data), strict=True)
    )
    again, _ = task.update(after, control)
    for kept, now in zip(tree.leaves(before), tree.leaves(state), strict=True):
        assert torch.equal(kept, now)
    assert again.steps.tolist() == [2, 2]


def test_a_task_without_an_objective_says_what_to_write():
    class Silent(QuadraticStepSize):
        objective = Task.objective

    with pytest.raises(ValueError, match=r"write objective\(state, part\)"):
        Silent().objective(Silent().reset(keys_of(0)))
