"""The example of three losses: its physics is right, and it keeps the promises of a task."""

import importlib.util
import math

import pytest
import torch

from autoloss_gym import check_task, random
from autoloss_gym.core.task import Control, Keys
from autoloss_gym.optimizers import Adam
from tests.support.paths import ROOT


@pytest.fixture(scope="module")
def heat_rod():
    path = ROOT / "examples" / "heat_rod.py"
    spec = importlib.util.spec_from_file_location("heat_rod", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def keys(count, device="cpu"):
    numbers = random.fold_in(torch.arange(count, dtype=torch.int64, device=device), "heat rod")
    return Keys(problem=numbers, run=random.fold_in(numbers, "run"))


def mean_error(module, weights):
    """Mean score of 8 trainings of 100 steps with these loss weights."""
    task = module.HeatRod(optimizer=Adam(learning_rate=1e-2))
    state = task.reset(keys(8))
    control = Control(torch.tensor([weights] * 8, dtype=torch.float32), torch.ones(8))
    for _ in range(100):
        state, _ = task.update(state, control)
    return float(task.score(state).mean())


def test_it_keeps_the_promises_of_a_task(heat_rod):
    check_task(heat_rod.HeatRod())


def test_the_second_derivative_of_its_network_is_that_of_autograd(heat_rod):
    state = heat_rod.HeatRod().initial_parameters(keys(3))["network"]
    layers = {name: values.double() for name, values in state.items()}
    places = torch.linspace(0, 1, 9, dtype=torch.float64).expand(3, 9).clone().requires_grad_()
    temperature, curvature = heat_rod.network(layers, places)
    (slope,) = torch.autograd.grad(temperature.sum(), places, create_graph=True)
    (expected,) = torch.autograd.grad(slope.sum(), places)
    torch.testing.assert_close(curvature, expected)


def test_the_source_is_what_heats_the_rod_to_the_true_temperature(heat_rod):
    data = heat_rod.HeatRod().make_data(keys(8))
    # Fourier's sine series of the truth, without the straight line between the ends, bends by
    # (order · π)² of each term.
    fine, inside = data["everywhere"].double(), data["inside"].double()
    straight = data["known"][:, :1] * (1 - fine) + data["known"][:, 1:] * fine
    curved = data["truth"] - straight
    at_inside = data["known"][:, :1] * (1 - inside) + data["known"][:, 1:] * inside
    expected = data["loss"] * at_inside
    for order in (1, 2, 3):
        rate = order * math.pi
        term = (curved * torch.sin(rate * fine)).mean(1, keepdim=True) * 2 * 101 / 100
        expected = expected + (rate**2 + data["loss"]) * term * torch.sin(rate * inside)
    torch.testing.assert_close(expected, data["source"].double(), atol=1e-3, rtol=1e-4)


def test_a_network_that_is_zero_everywhere_has_the_error_one(heat_rod):
    task = heat_rod.HeatRod()
    zero = {"network": {name: torch.zeros(4, 16, 1) for name in ("slope", "shift", "output")}}
    torch.testing.assert_close(task.score_values(zero, task.make_data(keys(4))), torch.ones(4, 1))


def test_neither_half_of_the_thermometers_is_used_twice(heat_rod):
    task = heat_rod.HeatRod()
    data, parameters = task.make_data(keys(2)), task.initial_parameters(keys(2))
    even, odd = data["readings"].clone(), data["readings"].clone()
    even[:, 0::2] += 1
    odd[:, 1::2] += 1
    trained = task.losses()["thermometers"]
    assert torch.equal(trained(parameters, data), trained(parameters, data | {"readings": odd}))
    held_out = task.validation_values(parameters, data)
    assert torch.equal(held_out, task.validation_values(parameters, data | {"readings": even}))


def test_the_losses_compete_so_that_equal_weights_do_badly(heat_rod):
    assert 2 * mean_error(heat_rod, [0.01, 1, 1]) < mean_error(heat_rod, [1, 1, 1])


def test_it_is_made_on_any_device(heat_rod):
    task = heat_rod.HeatRod()
    state = task.reset(keys(2, "meta"))
    assert task.score(state).device.type == task.measure(state).losses.device.type == "meta"
