"""The physics-informed network: its losses by hand, its data, its bits and its pictures."""

import math

import numpy as np
import pytest
import torch

from autoloss_gym import random
from autoloss_gym.core.task import Control
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.tasks.physics.pinn import PINN
from autoloss_gym.tasks.physics.problems import EQUATIONS
from autoloss_gym.tools import tree
from tests.support.recording import assert_same_run, play
from tests.support.toy_tasks import keys_of

SMALL = {
    "num_points": 7,
    "num_condition_points": 3,
    "num_readings": 5,
    "hidden_sizes": (10, 7),
    "max_steps": 12,
    "validate_every": 4,
}
each_equation = pytest.mark.parametrize("equation", EQUATIONS)
WAVE, SHIFT, HEIGHT, LEVEL = 3.0, 0.4, 0.7, 0.2


def one_wave(task, dimension):
    """Parameters of u = HEIGHT · sin(WAVE · input + SHIFT) + LEVEL of the first input, scaled."""
    wave = torch.zeros(1, dimension, 1)
    wave[0, 0] = WAVE
    network = {
        "weight_0": wave,
        "bias_0": torch.tensor([[SHIFT]]),
        "weight_1": torch.tensor([[[HEIGHT]]]),
        "bias_1": torch.tensor([[LEVEL]]),
    }
    return {"network": network}


def known(equation):
    """A task with `one_wave`, its problem, and the conditions of a step."""
    task = PINN(equation=equation, activation="sin", hidden_sizes=(1,), num_readings=5)
    data = task.make_data(keys_of(3))
    batch = task.batch(data, keys_of(3).run)
    parameters = one_wave(task, len(task.physics.low))
    values = {name: loss(parameters, batch)[0].item() for name, loss in task.losses().items()}
    problem = {name: value[0] for name, value in data["problem"].items()}
    return task, problem, batch, values


def wave(places, low, high):
    """`one_wave` at `places` of an axis, its first and its second derivative."""
    scale = 2 / (high - low)
    angle = WAVE * (places - (low + high) / 2) * scale + SHIFT
    rate = WAVE * scale
    return (
        HEIGHT * torch.sin(angle) + LEVEL,
        HEIGHT * rate * torch.cos(angle),
        -HEIGHT * rate**2 * torch.sin(angle),
    )


def data_loss(batch, low, high):
    places, readings = batch["data"].points[0, :, 0], batch["data"].target[0]
    return (wave(places, low, high)[0] - readings).square().mean().item()


def test_the_oscillators_losses_are_those_of_a_known_wave():
    _, problem, batch, values = known("oscillator")
    u, slope, bend = wave(batch["residual"].points[0, :, 0], 0, 1)
    residual = bend + 2 * problem["damping"] * slope + problem["frequency"] ** 2 * u
    u, slope, _ = wave(torch.zeros(1), 0, 1)
    initial = torch.cat([u - problem["position"], slope - problem["velocity"]])
    assert values == pytest.approx(
        {
            "residual": residual.square().mean().item(),
            "initial": initial.square().mean().item(),
            "data": data_loss(batch, 0, 1),
        },
        rel=1e-5,
    )


def test_poissons_losses_are_those_of_a_known_wave():
    task, problem, batch, values = known("poisson")
    places = batch["residual"].points[0, :, 0]
    orders = math.pi * torch.arange(1, task.modes + 1)
    source = (problem["waves"] * orders**2 * torch.sin(orders * places[:, None])).sum(1)
    residual = -wave(places, 0, 1)[2] - source
    boundary = wave(torch.tensor([0.0, 1.0]), 0, 1)[0] - problem["ends"]
    assert values == pytest.approx(
        {
            "residual": residual.square().mean().item(),
            "boundary": boundary.square().mean().item(),
            "data": data_loss(batch, 0, 1),
        },
        rel=1e-5,
    )


def test_burgers_losses_are_those_of_a_known_wave_in_time():
    _, problem, batch, values = known("burgers")
    # It does not depend on x: of u_t + u u_x − ν u_xx only the first term is left.
    slope = wave(batch["residual"].points[0, :, 0], 0, 1)[1]
    place = batch["initial"].points[0, :, 1]
    start = wave(torch.zeros(1), 0, 1)[0]
    initial = start + problem["amplitude"] * torch.sin(math.pi * place)
    boundary = wave(batch["boundary"].points[0, :, 0], 0, 1)[0]
    assert values == pytest.approx(
        {
            "residual": slope.square().mean().item(),
            "initial": initial.square().mean().item(),
            "boundary": boundary.square().mean().item(),
            "data": data_loss(batch, 0, 1),
        },
        rel=1e-5,
    )


def test_burgers_residual_has_its_flow():
    task = PINN(equation="burgers", activation="sin", hidden_sizes=(1,))
    data = task.make_data(keys_of(3))
    batch = task.batch(data, keys_of(3).run)
    parameters = one_wave(task, 2)
    # The wave is along x.
    parameters["network"]["weight_0"] = parameters["network"]["weight_0"].flip(1)
    u, slope, bend = wave(batch["residual"].points[0, :, 1], -1, 1)
    expected = u * slope - data["problem"]["viscosity"][0] * bend
    found = task.residuals(parameters, batch)["residual"][0]
    torch.testing.assert_close(found, expected)


def test_helmholtz_losses_are_those_of_a_known_wave():
    _, problem, batch, values = known("helmholtz")
    x, y = batch["residual"].points[0].unbind(1)
    u, _, bend = wave(x, -1, 1)
    squared = problem["wavenumber"] ** 2
    first, second = problem["waves x"] * math.pi, problem["waves y"] * math.pi
    source = (squared - first**2 - second**2) * torch.sin(first * x) * torch.sin(second * y)
    residual = bend + squared * u - source
    boundary = wave(batch["boundary"].points[0, :, 0], -1, 1)[0]
    assert values == pytest.approx(
        {
            "residual": residual.square().mean().item(),
            "boundary": boundary.square().mean().item(),
            "data": data_loss(batch, -1, 1),
        },
        rel=1e-5,
    )


@each_equation
def test_losses_are_the_mean_squares_of_the_residuals_and_have_their_gradient(equation):
    task = PINN(equation=equation, **SMALL)
    state = task.reset(keys_of(1, 2, 3))
    batch = task.batch(state.data, state.keys.run)
    network = task.unpack(state.parameters)["network"]
    leaves = {name: leaf.clone().requires_grad_() for name, leaf in network.items()}
    residuals = task.residuals({"network": leaves}, batch)
    assert list(residuals) == [pair.name for pair in task.pairs]
    for name, loss in task.losses().items():
        assert residuals[name].shape[0] == 3
        expected = residuals[name].square().mean(1)
        values, gradient = loss.value_and_gradient({"network": network}, batch)
        torch.testing.assert_close(values, expected.detach())
        slopes = torch.autograd.grad(expected.sum(), list(leaves.values()))
        for block, slope in zip(leaves, slopes, strict=True):
            torch.testing.assert_close(gradient["network"][block], slope, rtol=1e-4, atol=1e-4)


@each_equation
def test_points_are_drawn_anew_for_each_step_and_readings_are_not(equation):
    task = PINN(equation=equation, **SMALL)
    data, keys = task.make_data(keys_of(1)), keys_of(1).run
    first, again, second = (
        task.batch(data, random.fold_in(keys, step)) for step in ("one", "one", "two")
    )
    assert torch.equal(first["residual"].points, again["residual"].points)
    assert not torch.equal(first["residual"].points, second["residual"].points)
    assert torch.equal(first["data"].points, second["data"].points)


def test_readings_are_the_solution_with_noise_in_units_of_its_size():
    task = PINN(equation="poisson", num_readings=500, num_held_out=500, noise=0.1)
    data = task.make_data(keys_of(*range(20)))
    size = data["truth"].square().mean(1).sqrt()
    for part in ("training", "validation"):
        exact = task.physics.solution(data["problem"], data[part].points)
        shares = (data[part].target - exact) / size[:, None]
        assert shares.mean().item() == pytest.approx(0, abs=0.005)
        assert shares.std().item() == pytest.approx(0.1, rel=0.05)
    places = [data[part].points[0] for part in ("training", "validation")]
    assert not torch.isin(*places).any()


def test_numbers_of_a_problem_lie_in_their_ranges():
    drawn = {}
    for equation in EQUATIONS:
        drawn |= PINN(equation=equation).make_data(keys_of(*range(200)))["problem"]
    ranges = {
        "frequency": (6, 12),
        "damping": (0.5, 3),
        "viscosity": (0.01, 0.05),
        "amplitude": (0.5, 1),
        "wavenumber": (0.5, 2),
    }
    for name, (low, high) in ranges.items():
        assert ((drawn[name] >= low) & (drawn[name] <= high)).all()
        assert drawn[name].amax() - drawn[name].amin() > 0.9 * (high - low)
    assert drawn["waves x"].unique().tolist() == [1, 2, 3]
    shares = drawn["waves"].std(0) * torch.arange(1, 9)
    torch.testing.assert_close(shares, torch.ones(8), rtol=0, atol=0.2)


def test_without_readings_there_is_no_loss_of_them():
    task = PINN(equation="burgers", num_readings=0)
    assert [pair.name for pair in task.pairs] == ["residual", "initial", "boundary"]
    assert "data" not in task.batch(task.make_data(keys_of(0)), keys_of(0).run)


# Figures


@each_equation
def test_a_network_that_is_nothing_has_an_error_of_one(equation):
    task = PINN(equation=equation, **SMALL)
    state = task.reset(keys_of(1, 2))
    state.parameters["network"].zero_()
    assert task.score(state).tolist() == [[1.0, 1.0]] * 2
    readings = state.data["validation"].target
    found = task.validate(state)
    torch.testing.assert_close(found[:, 0], readings.square().mean(1))
    targets = [each.target.square().mean(1) for each in state.data["held_out"].values()]
    torch.testing.assert_close(found[:, 1], sum(targets))


def test_a_shift_of_the_network_is_its_score():
    task = PINN(equation="oscillator", **SMALL)
    state = task.reset(keys_of(1))
    state.parameters["network"].zero_()
    task.unpack(state.parameters)["network"]["bias_2"].fill_(0.3)
    truth = state.data["truth"][0]
    error = torch.full_like(truth, 0.3) - truth
    expected = [error.norm() / truth.norm(), error.abs().max() / truth.abs().max()]
    torch.testing.assert_close(task.score(state)[0], torch.stack(expected))


def test_the_score_has_a_bound():
    task = PINN(equation="oscillator", **SMALL)
    state = task.reset(keys_of(1))
    task.unpack(state.parameters)["network"]["bias_2"].fill_(1e20)
    assert task.score(state).tolist() == [[10.0, 10.0]]


def test_equal_weights_follow_the_equation_and_forget_the_start():
    task = PINN(max_steps=300)
    scores = []
    for weight in (1.0, 1e-3):
        state = task.reset(keys_of(*range(8)))
        weights = torch.ones(8, 3)
        weights[:, 0] = weight
        control = Control(weights=weights, step_size=torch.ones(8))
        for _ in range(task.max_steps):
            state, _ = task.update(state, control)
        scores.append(task.score(state)[:, 0].median().item())
    equal, good = scores
    assert equal > 0.5
    assert good < 0.2


# Bits


@each_equation
@pytest.mark.parametrize("control", ["pair", "weights"])
def test_a_run_has_the_same_bits_alone_and_in_a_batch(equation, control):
    task = PINN(equation=equation, **SMALL)
    pairs = len(task.pairs)
    generator = np.random.default_rng(0)
    # More runs than are computed at once.
    if control == "pair":
        actions = generator.integers(pairs, size=(13, 19))
    else:
        actions = generator.uniform(-1, 1, (13, 19, pairs)).astype(np.float32)
    whole = play(AutoLossVectorEnv(task, 19, control=control), actions, parameters=True)
    for rows in ([0], [18], [4, 11, 17]):
        envs = AutoLossVectorEnv(task, len(rows), control=control)
        part = play(envs, actions[:, rows], seed=rows, parameters=True)
        for index, row in enumerate(rows):
            assert_same_run(part, index, whole, row)


def test_a_graph_leads_through_a_step_to_its_weights():
    task = PINN(equation="burgers", **SMALL)
    weights = torch.ones(2, 4, requires_grad=True)
    control = Control(weights=weights, step_size=torch.ones(2))
    state = task.reset(keys_of(0, 1))
    before = tree.clone(state.parameters)
    after, _ = task.update(state, control, differentiable=True)
    after, _ = task.update(after, control, differentiable=True)
    (slope,) = torch.autograd.grad(task.objective(after).sum(), weights)
    assert torch.isfinite(slope).all()
    assert (slope != 0).all()
    assert torch.equal(state.parameters["network"], before["network"])


# Pictures


@each_equation
def test_a_field_is_the_solution_and_the_network_on_the_grid(equation):
    task = PINN(equation=equation, **SMALL)
    state = task.reset(keys_of(1, 2))
    first, second = task.fields(state)
    assert first.exact.shape == first.found.shape == task.physics.grid
    assert len(first.names) == len(task.physics.grid)
    np.testing.assert_array_equal(second.exact.ravel(), state.data["truth"][1].numpy())
    error = np.linalg.norm(second.found - second.exact) / np.linalg.norm(second.exact)
    assert task.score(state)[1, 0].item() == pytest.approx(error, rel=1e-4)


# Errors


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"equation": "poison"}, r"'poisson'"),
        ({"activation": "tan"}, r"'tanh'"),
        ({"hidden_sizes": ()}, r"expected at least one layer"),
        ({"damping": (1.0, 7.0)}, r"expected a damping below the lowest frequency"),
        ({"num_held_out": 0}, r"num_held_out"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        PINN(**arguments)


def test_numbers_of_other_equations_are_not_looked_at():
    assert PINN(equation="poisson", damping=(1.0, 7.0)).pairs
