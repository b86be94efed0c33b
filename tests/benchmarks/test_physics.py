"""`benchmarks/physics.py`: its sides compute the same, and count their steps."""

import pytest
import torch

from autoloss_gym.tasks.physics.pinn import PINN
from benchmarks.physics import environment, keys, mean_square, own_loop
from benchmarks.physics_derivatives import gradients, ways

SMALL = {"num_points": 6, "num_condition_points": 4, "hidden_sizes": (8, 16)}
each_equation = pytest.mark.parametrize("equation", list(PINN.presets))


# PyTorch itself, at its first forward differentiation.
with_its_warning = pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")


@with_its_warning
@each_equation
def test_all_ways_lead_to_one_gradient(equation):
    task = PINN(equation=equation, **SMALL)
    first, *others = (way() for way in gradients(task, keys(3)).values())
    for other in others:
        for one, two in zip(first, other, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-3)


@each_equation
def test_the_loops_losses_are_those_of_the_task(equation):
    task = PINN(equation=equation, **SMALL)
    state = task.reset(keys(1))
    batch = task.batch(state.data, state.keys.run)
    network = task.unpack(state.parameters)["network"]

    def model(points):
        """The task's own network, by the names of its layers."""
        low, high = torch.tensor(task.physics.low), torch.tensor(task.physics.high)
        values = (points - (low + high) / 2) * 2 / (high - low)
        for index in range(3):
            values = values @ network[f"weight_{index}"][0] + network[f"bias_{index}"][0]
            values = torch.tanh(values) if index < 2 else values
        return values

    for name, loss in task.losses().items():
        expected = loss({"network": network}, batch)[0]
        found = mean_square(task, model, batch[name]).detach()
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@with_its_warning
def test_turns_count_the_steps_of_all_runs():
    task = PINN(**SMALL, max_steps=100)
    assert own_loop(task, 3, fused=False)() == 3
    assert environment(task, 4, 3)() == 12
    assert [way() for way in ways(task, keys(2)).values()] == [20] * 4
