"""Tasks whose step size alone is to be chosen, against the figures of Wang, Yuan, Wu, Ge."""

import math
import re
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

from autoloss_gym.core.state import Keys
from autoloss_gym.core.task import Control
from autoloss_gym.tasks.step_sizes.geometry import polar
from autoloss_gym.tasks.step_sizes.least_squares import LeastSquaresStepSize
from autoloss_gym.tasks.step_sizes.quadratic import QuadraticStepSize
from autoloss_gym.tasks.step_sizes.spectra import Spectra

QUADRATIC, LEAST_SQUARES = "AutoLoss/QuadraticStepSize-v0", "AutoLoss/LeastSquaresStepSize-v0"


def keys(count: int) -> Keys:
    numbers = torch.arange(count, dtype=torch.int64)
    return Keys(problem=numbers, run=numbers + 1000)


def control(step_sizes: torch.Tensor) -> Control:
    return Control(weights=torch.ones(len(step_sizes), 1), step_size=step_sizes)


def two_eigenvalues(steps: int, **arguments) -> QuadraticStepSize:
    """½ wᵀ diag(4, 1) w from (.6, .8), with a factor of 1 for a step size of 1."""
    return QuadraticStepSize(
        eigenvalues=(4.0, 1.0),
        start=(0.6, 0.8),
        max_steps=steps,
        validate_every=steps,
        learning_rate=1.0,
        **{"dtype": "float64", **arguments},
    )


def played(task, step_sizes, count=None):
    state = task.reset(keys(len(step_sizes) if count is None else count))
    for _ in range(task.max_steps):
        state, _ = task.update(state, control(step_sizes), differentiable=True)
    return state


@pytest.mark.parametrize(
    ("steps", "step_size", "value", "slope"),
    [
        (10, 0.0, 0.0039220713, -6.1538461538),
        (10, 0.3, -0.8272933162, -2.8571428559),
        (10, 0.4, None, 8.2051282051),
        (10, 1.0, 2.1643741706, 2.6666666667),
        (10, 0.3866025187, None, 0.0),
        (80, 0.3983485898, None, 0.0),
        (1, 0.2702702703, None, 0.0),
        (80, 5.0, None, 0.4210526316),
    ],
)
def test_the_mean_log_objective_and_its_slope_are_the_published_ones(
    steps, step_size, value, slope
):
    factor = torch.tensor([step_size], dtype=torch.float64, requires_grad=True)
    task = two_eigenvalues(steps)
    found = task.log_root_objective(played(task, factor))
    (gradient,) = torch.autograd.grad(found.sum(), factor)
    # The step sizes of the minima are given to 1e-10, and slopes there are steep.
    assert gradient.item() == pytest.approx(slope, abs=2e-7)
    if value is not None:
        assert found.item() == pytest.approx(value, abs=1e-9)


def test_the_slope_is_finite_and_right_in_float32_where_the_objective_overflows():
    task = two_eigenvalues(320, dtype="float32")
    factor = torch.tensor([5.0], requires_grad=True)
    state = played(task, factor)
    assert task.log_objective(state).item() > 640 * math.log(18)  # e⁸⁸ is infinite in float32
    (gradient,) = torch.autograd.grad(task.log_root_objective(state).sum(), factor)
    assert gradient.item() == pytest.approx(8 / 19, rel=1e-5)


def test_the_closed_form_is_gradient_descent_on_a_rotated_quadratic():
    generator = np.random.default_rng(0)
    factors = generator.normal(size=(4, 4))
    matrix = factors.T @ factors
    start = generator.normal(size=4)
    values, vectors = np.linalg.eigh(matrix)
    rates = [0.05, 0.2, 0.01, 0.1, 0.07, 0.3]
    point = start
    for rate in rates:
        point = point - rate * matrix @ point

    task = QuadraticStepSize(
        eigenvalues=tuple(values),
        start=tuple(vectors.T @ start),
        max_steps=6,
        validate_every=6,
        learning_rate=1.0,
        dtype="float64",
    )
    state = task.reset(keys(1))
    for rate in rates:
        state, _ = task.update(state, control(torch.tensor([rate], dtype=torch.float64)))
    length = torch.exp(state.buffers["log_length"])
    reached = vectors @ (state.parameters["point"] * length[:, None])[0].numpy()
    np.testing.assert_allclose(reached, point, rtol=1e-9)
    expected = math.log(0.5 * point @ matrix @ point)
    assert task.log_objective(state).item() == pytest.approx(expected, rel=1e-12)
    assert task.score(state)[0].tolist() == pytest.approx([expected / 6, expected])


def test_the_reward_of_a_run_falls_with_every_step_beyond_the_best_step_size():
    envs = gymnasium.make_vec(
        QUADRATIC,
        num_envs=40,
        eigenvalues=(4.0, 1.0),
        start=(0.6, 0.8),
        learning_rate=0.4,
        repeat=80,
        control_arguments={"step_size_range": 1e6},
    )
    envs.reset(seed=0)
    actions = np.linspace(0, 1, 40, dtype=np.float32)[:, None]
    _, rewards, _, _, infos = envs.step(actions)
    assert (np.diff(rewards) < 0).all()
    assert not infos["final_info"]["diverged"].any()
    assert (np.diff(infos["final_info"]["score"]) > 0).all()


def test_a_run_stands_still_after_its_own_horizon():
    task = QuadraticStepSize(horizon=(1, 8), max_steps=8, validate_every=2)
    state = task.reset(keys(16))
    horizon = state.data["horizon"]
    assert horizon.min() < 4 < horizon.max()
    before = []
    for _ in range(8):
        before.append(state.buffers["log_length"].clone())
        state, _ = task.update(state, control(torch.ones(16)))
    changed = torch.stack([a != b for a, b in zip(before, [*before[1:], before[-1]], strict=True)])
    assert (changed[:7].sum(dim=0) == horizon.clamp(max=7)).all()
    assert not state.diverged.any()


def test_eigenvalues_have_the_given_ends_and_absent_ones_are_zero():
    spectra = Spectra(kind="logarithmic", dimension=(2, 5), largest=(1.0, 9.0), condition=16.0)
    values, present = spectra.eigenvalues(torch.arange(200, dtype=torch.int64))
    assert present.sum(dim=1).unique().tolist() == [2, 3, 4, 5]
    assert (values[~present] == 0).all()
    least = torch.where(present, values, math.inf).amin(dim=1)
    torch.testing.assert_close(values[:, 0] / least, torch.full((200,), 16.0).double())
    assert (values.amax(dim=1) == values[:, 0]).all()
    assert values[:, 0].min() < 2
    assert values[:, 0].max() > 7


def test_wishart_eigenvalues_are_those_of_a_random_matrix_and_alike_in_any_batch():
    spectra = Spectra(kind="wishart", dimension=20, largest=1.0, condition=1.0)
    numbers = torch.arange(64, dtype=torch.int64)
    values, _ = spectra.eigenvalues(numbers)
    # The trace of XᵀX has mean d²; its deviation over 64 draws is √(2 d² / 64).
    assert values.sum(dim=1).mean() == pytest.approx(400, abs=4 * math.sqrt(800 / 64))
    for row in (0, 17, 63):
        assert torch.equal(spectra.eigenvalues(numbers[row : row + 1])[0][0], values[row])


@pytest.mark.parametrize(
    ("rule", "rate"),
    [
        # w = (1, 1): g = (4, 1), Hg = (16, 1).
        ("exact", 17 / 65),
        ("barzilai_borwein_1", 17 / 65),
        ("barzilai_borwein_2", 65 / 257),
    ],
)
def test_step_rules_by_hand(rule, rate):
    task = replace(two_eigenvalues(2), start=(1.0, 1.0), step=rule, learning_rate=0.25)
    state = task.reset(keys(1))
    one = torch.ones(1)
    if rule != "exact":
        # The first step is the learning rate, and brings w to (0, .75): of the point before it.
        state, _ = task.update(state, control(one))
        assert task.base_rate(state).item() == pytest.approx(rate)
        return
    assert task.base_rate(state).item() == pytest.approx(rate)
    moved, _ = task.update(state, control(one))
    best = task.log_objective(moved).item()
    for factor in (0.99, 1.01):
        state = task.reset(keys(1))
        moved, _ = task.update(state, control(one * factor))
        assert task.log_objective(moved).item() > best


def test_a_step_onto_the_minimum_itself_leaves_finite_numbers():
    task = QuadraticStepSize(
        eigenvalues=(2.0,), start=(3.0,), learning_rate=0.5, max_steps=4, validate_every=2
    )
    state = task.reset(keys(1))
    for _ in range(4):
        state, evaluation = task.update(state, control(torch.ones(1)))
        assert torch.isfinite(evaluation.losses).all()
    assert not state.diverged.any()
    assert torch.isfinite(task.score(state)).all()
    assert task.log_objective(state).item() < -100


def test_a_step_size_that_is_no_number_ends_the_run_alone():
    task = QuadraticStepSize(max_steps=4, validate_every=2)
    state = task.reset(keys(2))
    other, _ = task.update(task.reset(keys(2)), control(torch.ones(2)))
    state, _ = task.update(state, control(torch.tensor([1.0, math.inf])))
    assert state.diverged.tolist() == [False, True]
    assert torch.equal(state.parameters["point"][0], other.parameters["point"][0])


def test_polar_coordinates_of_vectors_whose_squares_overflow():
    direction, log_length = polar(torch.tensor([[3e30, 4e30], [3e-25, 4e-25], [0.0, 0.0]]))
    torch.testing.assert_close(direction, torch.tensor([[0.6, 0.8], [0.6, 0.8], [0.0, 0.0]]))
    expected = torch.tensor([math.log(5e30), math.log(5e-25), math.log(1e-30)])
    torch.testing.assert_close(log_length, expected)


def test_least_squares_descends_on_its_training_samples():
    task = LeastSquaresStepSize(
        dimension=3, num_samples=6, max_steps=2, validate_every=2, learning_rate=0.1
    )
    state = task.reset(keys(2))
    training = state.data["training"]
    point = torch.zeros(2, 3)
    for factor in (0.5, 2.0):
        residuals = torch.einsum("nrd,nd->nr", training["inputs"], point) - training["targets"]
        point = point - factor * 0.1 * torch.einsum("nr,nrd->nd", residuals, training["inputs"]) / 6
        state, evaluation = task.update(state, control(torch.full((2,), factor)))
        torch.testing.assert_close(
            evaluation.losses[:, 0], 0.5 * (residuals * residuals).mean(dim=1)
        )
    torch.testing.assert_close(state.parameters["point"], point)
    away = point - state.data["truth"]
    expected = torch.sqrt((away * away).sum(dim=1) + 1)
    torch.testing.assert_close(task.score(state)[:, 0], expected)


def test_the_exact_score_is_the_error_on_many_new_samples():
    task = LeastSquaresStepSize(dimension=5, num_samples=20, noise=2.0)
    state = task.reset(keys(1))
    for _ in range(5):
        state, _ = task.update(state, control(torch.ones(1)))
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(200_000, 5, generator=generator)
    targets = inputs @ state.data["truth"][0] + 2 * torch.randn(200_000, generator=generator)
    error = torch.sqrt(((inputs @ state.parameters["point"][0] - targets) ** 2).mean())
    assert task.score(state)[0, 0].item() == pytest.approx(error.item(), rel=0.01)


def test_by_validation_half_of_the_samples_are_left_out_of_training():
    by_training = LeastSquaresStepSize(num_samples=9).reset(keys(1)).data
    by_validation = LeastSquaresStepSize(num_samples=9, meta="validation").reset(keys(1)).data
    assert by_training["training"]["targets"].shape == (1, 9)
    assert "validation" not in by_training
    assert by_validation["training"]["targets"].shape == (1, 5)
    assert by_validation["validation"]["targets"].shape == (1, 4)


def test_a_run_that_leaves_the_ball_is_put_back_to_it_and_stands_still():
    task = LeastSquaresStepSize(noise=2.0, max_steps=8, validate_every=2)
    state = task.reset(keys(2))
    for _ in range(8):
        state, _ = task.update(state, control(torch.tensor([0.5, 1e3])))
    lengths = state.parameters["point"].norm(dim=1)
    assert state.buffers["stands"].tolist() == [False, True]
    assert lengths[1].item() == pytest.approx(80, rel=1e-5)
    frozen = state.parameters["point"][1].clone()
    state, _ = task.update(state, control(torch.tensor([0.5, 1e-3])))
    assert torch.equal(state.parameters["point"][1], frozen)
    assert not state.diverged.any()


def test_one_sample_a_step_is_another_one_in_every_step():
    task = LeastSquaresStepSize(batch="sample", num_samples=50, dimension=4)
    state = task.reset(keys(1))
    directions = []
    for _ in range(20):
        before = state.parameters["point"].clone()
        state, _ = task.update(state, control(torch.ones(1)))
        moved = state.parameters["point"] - before
        along = (state.data["training"]["inputs"][0] * moved).sum(dim=1)
        lengths = state.data["training"]["inputs"][0].norm(dim=1) * moved.norm()
        directions.append((along.abs() / lengths).argmax().item())
        assert (along.abs() / lengths).max().item() == pytest.approx(1, abs=1e-4)
    assert len(set(directions)) > 10


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"horizon": 100}, "horizon=100: expected at most max_steps=80"),
        ({"start": (1.0,)}, "expected one number for each of eigenvalues"),
        ({"eigenvalues": (1.0, 2.0), "start": (0.0, 0.0)}, "not all 0"),
        ({"eigenvalues": ()}, "without an entry"),
        ({"eigenvalues": (0.0,)}, "a number from 1e-6 to 1e6"),
        ({"condition": 0.5}, "a number from 1 to 1e6"),
    ],
)
def test_quadratics_that_make_no_sense_are_refused_in_one_line(arguments, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        QuadraticStepSize(**arguments)


def test_a_single_sample_cannot_be_halved():
    with pytest.raises(ValueError, match="expected at least 2"):
        LeastSquaresStepSize(num_samples=1, meta="validation")
