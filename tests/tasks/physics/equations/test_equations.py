"""Solutions of the equations, against solvers that know only the equations."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_bvp, solve_ivp

from autoloss_gym import random
from autoloss_gym.tasks.physics.equations.burgers import Burgers
from autoloss_gym.tasks.physics.equations.helmholtz import Helmholtz
from autoloss_gym.tasks.physics.equations.oscillator import Oscillator
from autoloss_gym.tasks.physics.equations.poisson import Poisson

OSCILLATOR = Oscillator(frequency=(6.0, 12.0), damping=(0.5, 3.0))
POISSON = Poisson(modes=5)
BURGERS = Burgers(viscosity=(0.01, 0.05), amplitude=(0.5, 1.0))
HELMHOLTZ = Helmholtz(wavenumber=(0.5, 2.0), waves=(1, 3))
EQUATIONS = {
    "oscillator": OSCILLATOR,
    "poisson": POISSON,
    "burgers": BURGERS,
    "helmholtz": HELMHOLTZ,
}
each_equation = pytest.mark.parametrize("equation", EQUATIONS.values(), ids=EQUATIONS)


def keys(count: int) -> torch.Tensor:
    return random.fold_in(torch.arange(count), "equation")


def of_one(problem, row):
    return {name: value[row : row + 1] for name, value in problem.items()}


def column(places):
    return torch.tensor(places, dtype=torch.float32)[None, :, None]


@pytest.mark.parametrize("row", range(4))
def test_the_oscillator_moves_as_the_equation_says(row):
    problem = of_one(OSCILLATOR.draw(keys(4)), row)
    numbers = {name: value.item() for name, value in problem.items()}
    times = np.linspace(0, 1, 21)

    def slopes(_, state):
        force = 2 * numbers["damping"] * state[1] + numbers["frequency"] ** 2 * state[0]
        return state[1], -force

    start = numbers["position"], numbers["velocity"]
    solved = solve_ivp(slopes, (0, 1), start, t_eval=times, rtol=1e-10, atol=1e-10)
    found = OSCILLATOR.solution(problem, column(times))[0].numpy()
    np.testing.assert_allclose(found, solved.y[0], atol=2e-6)


@pytest.mark.parametrize("row", range(4))
def test_poissons_equation_holds_between_the_known_ends(row):
    problem = of_one(POISSON.draw(keys(4)), row)
    places = np.linspace(0, 1, 41)

    def slopes(x, state):
        condition = POISSON.residual(problem, column(x))
        return np.stack([state[1], -condition.target[0].numpy()])

    left, right = problem["ends"][0].tolist()

    def ends(low, high):
        return np.array([low[0] - left, high[0] - right])

    solved = solve_bvp(slopes, ends, places, np.zeros((2, 41)), tol=1e-4)
    assert solved.success
    found = POISSON.solution(problem, column(places))[0].numpy()
    np.testing.assert_allclose(found, solved.sol(places)[0], atol=1e-4)


@pytest.mark.parametrize("row", range(2))
def test_burgers_equation_holds_from_its_start(row):
    problem = of_one(BURGERS.draw(keys(2)), row)
    viscosity, amplitude = problem["viscosity"].item(), problem["amplitude"].item()
    # Central differences of second order on twice as many places as their error asks for.
    places = np.linspace(-1, 1, 1025)
    gap = places[1] - places[0]

    def slopes(_, inside):
        values = np.concatenate([[0.0], inside, [0.0]])
        flow = values**2 / 2
        bend = (values[2:] - 2 * values[1:-1] + values[:-2]) / gap**2
        return viscosity * bend - (flow[2:] - flow[:-2]) / (2 * gap)

    start = -amplitude * np.sin(math.pi * places[1:-1])
    times = np.array([0.0, 0.25, 0.5, 1.0])
    solved = solve_ivp(
        slopes, (0, 1), start, "LSODA", times, lband=1, uband=1, rtol=1e-8, atol=1e-9
    )
    for index, time in enumerate(times):
        chosen = places[1:-1][7::64]
        points = np.stack([np.full_like(chosen, time), chosen], axis=1)
        found = BURGERS.solution(problem, torch.tensor(points, dtype=torch.float32)[None])[0]
        np.testing.assert_allclose(found.numpy(), solved.y[7::64, index], atol=3e-4)


def test_burgers_solution_is_that_of_a_finer_rule(monkeypatch):
    problem = Burgers(viscosity=0.001, amplitude=1.0).draw(keys(1))
    equation = Burgers(viscosity=0.001, amplitude=1.0)
    points = equation.everywhere(torch.device("cpu"))[None]
    coarse = equation.solution(problem, points)
    monkeypatch.setattr("autoloss_gym.tasks.physics.equations.burgers._STEP", 0.05)
    monkeypatch.setattr("autoloss_gym.tasks.physics.equations.burgers._TAIL", 9.0)
    torch.testing.assert_close(coarse, equation.solution(problem, points), rtol=0, atol=1e-6)


@pytest.mark.parametrize("row", range(3))
def test_helmholtz_equation_has_its_solution_by_finite_differences(row):
    problem = of_one(HELMHOLTZ.draw(keys(3)), row)
    count = 81
    axis = np.linspace(-1, 1, count)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=2).reshape(-1, 2)
    points = torch.tensor(points, dtype=torch.float32)[None]
    values = HELMHOLTZ.solution(problem, points).view(count, count).double().numpy()
    source = HELMHOLTZ.residual(problem, points).target.view(count, count).numpy()
    gap = axis[1] - axis[0]
    around = values[2:, 1:-1] + values[:-2, 1:-1] + values[1:-1, 2:] + values[1:-1, :-2]
    laplacian = (around - 4 * values[1:-1, 1:-1]) / gap**2
    left = laplacian + problem["wavenumber"].item() ** 2 * values[1:-1, 1:-1]
    # Second order: (aπ)⁴ h² / 12 of each dimension.
    waves = np.array([problem["waves x"].item(), problem["waves y"].item()]) * math.pi
    bound = 1.1 * (waves**4).sum() * gap**2 / 12 + 2e-3
    assert np.abs(left - source[1:-1, 1:-1]).max() < bound


def derivatives(equation, problem, points):
    """Value, first derivatives and curvature of the solution, by automatic differentiation."""
    points = points.clone().requires_grad_()
    value = equation.solution(problem, points)
    (first,) = torch.autograd.grad(value.sum(), points, create_graph=True)
    curvature = torch.zeros_like(value)
    for index in equation.curved:
        (second,) = torch.autograd.grad(first[:, :, index].sum(), points, create_graph=True)
        curvature = curvature + second[:, :, index]
    return torch.stack([value, *first.unbind(2), curvature], dim=1).detach()


@each_equation
def test_the_solution_satisfies_equation_and_conditions(equation):
    problem = {name: value.double() for name, value in equation.draw(keys(5)).items()}
    inside = equation.inside(random.fold_in(keys(5), "inside"), 20).double()
    conditions = {"residual": equation.residual(problem, inside)}
    for name in equation.conditions:
        stream = random.fold_in(keys(5), name)
        conditions[name] = equation.condition(name, problem, stream, 6)
    for name, condition in conditions.items():
        points = condition.points.double()
        if condition.coefficients is None:
            left = equation.solution(problem, points)
        else:
            jet = derivatives(equation, problem, points)
            left = (condition.coefficients * jet).sum(1)
        if condition.advection is not None:
            left = left + condition.advection * jet[:, 0] * jet[:, 1 + equation.advected]
        assert left.dtype == torch.float64
        bound = 1e-9 if name == "residual" else 1e-6  # where points and targets are float32
        assert (left - condition.target).abs().max() < bound * (1 + condition.target.abs().max())


@each_equation
def test_points_lie_where_they_belong(equation):
    problem = equation.draw(keys(3))
    low, high = torch.tensor(equation.low), torch.tensor(equation.high)
    inside = equation.inside(keys(3), 500)
    assert ((inside >= low) & (inside <= high)).all()
    assert (inside.amax((0, 1)) - inside.amin((0, 1)) > 0.97 * (high - low)).all()
    for name in equation.conditions:
        points = equation.condition(name, problem, keys(3), 200).points
        at_edge = (points == low) | (points == high)
        if name == "initial":
            assert (points[:, :, 0] == 0).all()
        else:
            assert at_edge.any(dim=2).all()
    grid = equation.everywhere(torch.device("cpu"))
    assert grid.shape == (math.prod(equation.grid), len(equation.low))
    assert torch.equal(grid[0], low)
    assert torch.equal(grid[-1], high)


def test_all_four_sides_of_the_square_are_visited():
    points = HELMHOLTZ.condition("boundary", HELMHOLTZ.draw(keys(1)), keys(1), 200).points[0]
    for dimension in (0, 1):
        for end in (-1.0, 1.0):
            assert 25 < int((points[:, dimension] == end).sum()) < 75


@each_equation
def test_a_problem_has_the_same_bits_alone_and_in_a_batch(equation):
    many = keys(9)
    problem = equation.draw(many)
    points = equation.inside(many, 13)
    whole = equation.solution(problem, points)
    for row in range(9):
        own = equation.draw(many[row : row + 1])
        single = equation.solution(own, points[row : row + 1].clone())
        assert torch.equal(single, whole[row : row + 1])


def test_an_overdamped_oscillator_is_refused():
    with pytest.raises(ValueError, match=r"expected a damping below the lowest frequency"):
        Oscillator(frequency=(2.0, 5.0), damping=2.0)
