"""Meta-gradients against published and hand-computed numbers, and against overflow."""

import math

import numpy as np
import pytest
import torch

from agents.learners.meta_gradients.descent import Descent
from agents.learners.meta_gradients.options import MetaGradientOptions
from agents.learners.meta_gradients.tuned import Tuned
from agents.learners.meta_gradients.unrolling import meta_gradient
from autoloss_gym.core.task import Control
from autoloss_gym.tasks.step_sizes.quadratic import QuadraticStepSize
from autoloss_gym.tasks.supervised.mlp_classification import MLPClassification
from tests.support.raw_quadratic import RawQuadratic
from tests.support.toy_tasks import SMALL, keys_of

BOTH = pytest.mark.parametrize("differentiation", ["forward", "backward"])
DIAGONAL = {"eigenvalues": (4.0, 1.0), "start": (0.6, 0.8)}


def random_problem():
    """Eigenvalues and start of a quadratic of 20 dimensions, in the basis of its eigenvectors."""
    generator = np.random.default_rng(0)
    root = generator.normal(size=(20, 20))
    start = generator.normal(size=20)
    values, vectors = np.linalg.eigh(root.T @ root)
    return {"eigenvalues": tuple(values.tolist()), "start": tuple((vectors.T @ start).tolist())}


RANDOM = random_problem()


def quadratic(problem, steps, dtype="float64"):
    return QuadraticStepSize(
        **problem, dtype=dtype, max_steps=steps, validate_every=1, learning_rate=1.0
    )


def slopes(task, etas, objective="log", differentiation="backward", precision="float64"):
    """Objective and its derivative at step sizes."""
    options = MetaGradientOptions(
        step_size="plain",
        objective=objective,
        differentiation=differentiation,
        precision=precision,
    )
    numbers = torch.tensor(etas, dtype=torch.float64)[:, None]
    found = meta_gradient(task, keys_of(*range(len(etas))), numbers, options)
    return found.values.tolist(), found.gradients[:, 0].tolist()


def best_step_size(problem, steps):
    """The zero of the derivative, between 0 and twice 2/L, on ever finer grids."""
    low, high = 0.0, 4 / max(problem["eigenvalues"])
    for _ in range(3):
        grid = np.linspace(low, high, 401)
        _, found = slopes(quadratic(problem, steps), grid.tolist())
        first = int(np.argmax(np.array(found) >= 0))
        low, high = grid[first - 1], grid[first]
    return low


@BOTH
def test_the_log_objective_has_the_published_values_and_derivatives(differentiation):
    values, found = slopes(quadratic(DIAGONAL, 10), [0.0, 0.3, 0.4, 1.0], "log", differentiation)
    expected = [-6.1538461538, -2.8571428559, 8.2051282051, 2.6666666667]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    known = [values[0], values[1], values[3]]
    np.testing.assert_allclose(known, [0.0039220713, -0.8272933162, 2.1643741706], rtol=1e-6)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(1, 0.2702702703), (2, 0.3304692081), (10, 0.3866025187)],
)
def test_the_best_step_size_is_the_published_one_and_grows_with_the_horizon(steps, expected):
    assert best_step_size(DIAGONAL, steps) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("steps", "expected"), [(5, 0.0285486), (20, 0.0309083)])
def test_the_best_step_size_of_a_random_problem_is_the_published_one(steps, expected):
    assert best_step_size(RANDOM, steps) == pytest.approx(expected, abs=1e-6)


@BOTH
def test_the_naive_objective_vanishes_and_explodes(differentiation):
    _, found = slopes(quadratic(DIAGONAL, 80), [0.4, 1.0], "final", differentiation)
    assert found[0] == pytest.approx(2.18e-33, rel=2e-3)
    assert found[1] == pytest.approx(3.36e78, rel=2e-3)


@BOTH
def test_in_single_precision_the_normalised_state_is_right_where_a_plain_point_is_not(
    differentiation,
):
    etas, expected = [0.3, 1.0, 5.0], [-2.8571428571, 2.6666666667, 0.4210526316]
    stable = slopes(quadratic(DIAGONAL, 80, "float32"), etas, "log", differentiation, "float32")
    np.testing.assert_allclose(stable[1], expected, rtol=1e-5)

    plain = slopes(RawQuadratic(max_steps=80), etas, "log", differentiation, "float32")
    np.testing.assert_allclose(plain[1][0], expected[0], rtol=1e-5)
    # The task stops such runs before they overflow: what it says of them is no derivative.
    assert not np.isclose(plain[1][1:], expected[1:], rtol=0.1).any()


def test_without_a_task_plain_backpropagation_is_silently_0_or_not_a_number():
    eta = torch.tensor([0.3, 1.0, 5.0], requires_grad=True)
    eigenvalues = torch.tensor([4.0, 1.0])
    point = torch.tensor([0.6, 0.8]).repeat(3, 1)
    for _ in range(80):
        point = point - eta[:, None] * eigenvalues * point
    value = torch.log(0.5 * (eigenvalues * point.square()).sum(dim=1)) / 80
    (found,) = torch.autograd.grad(value.sum(), eta)
    assert found[0].item() == pytest.approx(-2.857143, rel=1e-5)
    assert found[1].item() == 0
    assert found[2].isnan()


@BOTH
def test_single_precision_holds_for_twenty_dimensions_and_80_steps(differentiation):
    etas = [0.005, 0.03, 0.1]
    single = slopes(quadratic(RANDOM, 80, "float32"), etas, "log", differentiation, "float32")
    double = slopes(quadratic(RANDOM, 80), etas, "log", differentiation)
    np.testing.assert_allclose(single[1], double[1], rtol=1e-3)
    assert single[1][2] == pytest.approx(23.7954708, rel=1e-5)


def test_meta_descent_has_the_published_value():
    options = MetaGradientOptions(
        step_size="plain", meta_learning_rate=0.01, start=0.1, precision="float64"
    )
    task = quadratic(RANDOM, 80)
    descent = Descent(Tuned(options, 1, 80))
    for _ in range(10):
        descent.step(meta_gradient(task, keys_of(0), descent.numbers[None], options))
    assert descent.numbers.item() == pytest.approx(0.34955, abs=5e-6)


@BOTH
@pytest.mark.parametrize("part", ["train", "validation"])
@pytest.mark.parametrize("task", [SMALL, MLPClassification(max_steps=10, validate_every=5)])
def test_a_meta_gradient_is_the_slope_of_training_anew(task, part, differentiation):
    options = MetaGradientOptions(
        loss_weights=True,
        part=part,
        objective="final",
        precision="float64",
        differentiation=differentiation,
    )
    numbers = torch.tensor([[0.1, 0.3]], dtype=torch.float64)
    found = meta_gradient(task, keys_of(3), numbers, options).gradients[0]
    width = 1e-6
    for index in range(2):
        shift = torch.zeros_like(numbers)
        shift[0, index] = width
        pair = torch.cat([numbers - shift, numbers + shift])
        below, above = meta_gradient(task, keys_of(3, 3), pair, options).values.tolist()
        # Penalties of absolute values have kinks: a coordinate may cross one.
        slope = (above - below) / (2 * width)
        assert found[index].item() == pytest.approx(slope, rel=2e-3, abs=1e-7)


def test_runs_that_are_differentiated_together_get_the_gradients_that_each_gets_alone():
    options = MetaGradientOptions()
    numbers = torch.tensor([[0.0], [0.2], [-0.1]], dtype=torch.float64)
    together = meta_gradient(SMALL, keys_of(4, 5, 6), numbers, options)
    alone = meta_gradient(SMALL, keys_of(5), numbers[1:2], options)
    assert torch.equal(together.gradients[1:2], alone.gradients)


def test_an_objective_that_nothing_depends_on_is_refused_in_one_line():
    class Constant(RawQuadratic):
        def objective(self, state, part="train"):
            return torch.ones(len(state.steps))

    for differentiation in ("forward", "backward"):
        options = MetaGradientOptions(differentiation=differentiation)
        with pytest.raises(ValueError, match="no gradient by what is tuned"):
            meta_gradient(Constant(), keys_of(0), torch.zeros(1, 1), options)


def test_what_a_control_holds_is_what_its_schedule_says():
    options = MetaGradientOptions(knots=3, loss_weights=True)
    tuned = Tuned(options, 3, 12)
    numbers = torch.linspace(-1, 1, tuned.size, dtype=torch.float64)
    schedule = tuned.schedule(numbers)
    for update in (0, 4, 11):
        progress = torch.tensor([update / 12])
        log_weights, log_step = schedule.logs(progress)
        control: Control = tuned.control(numbers[None], update)
        assert control.step_size.item() == pytest.approx(math.exp(log_step.item()), rel=1e-5)
        weights = torch.softmax(log_weights[0], dim=0) * 3
        np.testing.assert_allclose(control.weights[0], weights, rtol=1e-5)
