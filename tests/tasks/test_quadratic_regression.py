import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from autoloss_gym.core.task import Control
from autoloss_gym.networks.quadratic import excess_risk, predict
from autoloss_gym.optimizers import SGD, Adam
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from tests.support.toy_tasks import SMALL, keys_of, samples

MANY = keys_of(*range(400))


def random_weights(dimension: int, constant: bool, runs: int = 3) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {"linear": (dimension,), "quadratic": (dimension, dimension)} | (
        {"constant": (1,)} if constant else {}
    )
    return {name: torch.randn(runs, *shape, generator=generator) for name, shape in shapes.items()}


@pytest.mark.parametrize("constant", [False, True])
def test_predictions_are_the_quadratic_model_by_loops(constant):
    weights, inputs = (
        random_weights(3, constant),
        torch.randn(3, 5, 3, generator=torch.Generator().manual_seed(1)),
    )
    predictions = predict(weights, inputs)
    for i, row in itertools.product(range(3), range(5)):
        u, w, a = inputs[i, row], weights["linear"][i], weights["quadratic"][i]
        expected = sum(w[j] * u[j] for j in range(3))
        expected += sum(u[j] * a[j, k] * u[k] for j in range(3) for k in range(3)) / 10
        expected += weights["constant"][i, 0] if constant else 0
        torch.testing.assert_close(predictions[i, row], expected)


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("dimension", [1, 3])
def test_excess_risk_is_the_expectation_over_the_inputs(constant, dimension):
    """Gauss-Legendre quadrature with 5 nodes a dimension is exact for this polynomial of degree 4."""
    weights, truth = (
        random_weights(dimension, constant),
        torch.linspace(-0.5, 0.5, 3 * dimension).view(3, dimension),
    )
    nodes, masses = np.polynomial.legendre.leggauss(5)
    inputs = 5 * np.array(list(itertools.product(nodes, repeat=dimension)))
    probabilities = np.array(
        [math.prod(each) for each in itertools.product(masses / 2, repeat=dimension)]
    )
    double = {name: value.double().numpy() for name, value in weights.items()}
    for i, risk in enumerate(excess_risk(weights, truth, 5.0).tolist()):
        quadratic = np.einsum("nj,jk,nk->n", inputs, double["quadratic"][i], inputs) / 10
        error = inputs @ (double["linear"][i] - truth[i].double().numpy()) + quadratic
        error += double["constant"][i] if constant else 0
        assert risk == pytest.approx(probabilities @ error**2, rel=1e-5)


def test_excess_risk_of_the_default_task_agrees_with_a_large_sample():
    state = QuadraticRegression().reset(keys_of(3))
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(1, 200_000, 16, generator=generator, dtype=torch.float64) * 10 - 5
    w, a = state.parameters["weights"].double().split([16, 256], dim=1)
    errors = (
        predict({"linear": w, "quadratic": a.view(1, 16, 16)}, inputs)
        - inputs @ state.data["truth"].double()[0]
    )
    squares = errors.square()
    risk = QuadraticRegression().score(state)[0, 0].double()
    assert abs(risk - squares.mean()) < 4 * squares.std() / math.sqrt(squares.numel())


def test_the_truth_has_no_excess_risk():
    truth = torch.linspace(-0.5, 0.5, 4)[None]
    assert excess_risk({"linear": truth, "quadratic": torch.zeros(1, 4, 4)}, truth, 5.0) == 0


def test_data_follow_the_documented_distribution():
    data = SMALL.make_data(MANY)
    truth, (inputs, targets) = data["truth"], samples(data, "training")
    assert truth.min() >= -0.5
    assert truth.max() < 0.5
    assert inputs.min() >= -5
    assert inputs.max() < 5
    assert truth.var() == pytest.approx(1 / 12, rel=0.1)
    assert inputs.var() == pytest.approx(25 / 3, rel=0.05)
    noise = targets - (inputs * truth[:, None]).sum(dim=2)
    assert noise.std() == pytest.approx(SMALL.noise, rel=0.05)
    assert abs(noise.mean()) < 4 * 2 / math.sqrt(8000)
    assert (
        torch.corrcoef(torch.stack([noise.flatten(), *inputs.flatten(0, 1).T])).tril(-1).abs().max()
        < 0.05
    )


def test_training_validation_and_test_part_share_the_truth_and_nothing_else():
    data = SMALL.make_data(MANY)
    parts = [samples(data, name) for name in ("training", "validation", "test")]
    noises = [targets - (inputs * data["truth"][:, None]).sum(dim=2) for inputs, targets in parts]
    assert torch.stack(noises).std(dim=(1, 2)).tolist() == pytest.approx(
        [SMALL.noise] * 3, rel=0.05
    )
    for values in (noises, [inputs for inputs, _ in parts]):
        table = torch.stack([part.flatten() for part in values])
        assert torch.corrcoef(table).tril(-1).abs().max() < 4 / math.sqrt(table.shape[1])


def test_initial_weights_have_the_documented_deviations():
    task = replace(SMALL, constant=True)
    packed = task.reset(MANY).parameters["weights"]
    linear, quadratic, constant = packed.split([4, 16, 1], dim=1)
    assert linear.std() == pytest.approx(0.1, rel=0.1)
    assert quadratic.std() == pytest.approx(0.01, rel=0.1)
    assert not constant.any()


def test_the_default_model_has_272_parameters_for_200_samples():
    state = QuadraticRegression().reset(keys_of(0))
    assert state.parameters["weights"].shape == (1, 16 + 256)
    assert {
        part: state.data[part]["inputs"].shape for part in ("training", "validation", "test")
    } == dict.fromkeys(("training", "validation", "test"), (1, 200, 16))


def test_losses_and_gradient_norms_are_those_of_a_loop_over_runs():
    task, keys = replace(SMALL, constant=True, l1_coefficient=0.3), keys_of(1, 2)
    state = task.reset(keys)
    evaluation = task.measure(state)
    for i in range(2):
        packed = state.parameters["weights"][i].double().requires_grad_()
        linear, quadratic, constant = packed.split([4, 16, 1])
        u, y = (values[i].double() for values in samples(state.data, "training"))
        predictions = (
            u @ linear + torch.einsum("nj,jk,nk->n", u, quadratic.view(4, 4), u) / 10 + constant
        )
        mse, l1 = (
            (predictions - y).square().mean(),
            0.3 * (linear.abs().sum() + quadratic.abs().sum()),
        )
        norms = [torch.autograd.grad(loss, packed)[0].norm() / math.sqrt(21) for loss in (mse, l1)]
        torch.testing.assert_close(
            evaluation.losses[i].double(), torch.stack([mse, l1]).detach(), rtol=1e-5, atol=0
        )
        torch.testing.assert_close(
            evaluation.gradient_norms[i].double(), torch.stack(norms), rtol=1e-5, atol=0
        )


def test_the_constant_is_not_penalised():
    task = replace(SMALL, constant=True, optimizer=SGD(learning_rate=0.1))
    state = task.reset(keys_of(1))
    state.parameters["weights"][:, -1] = 0.7
    control = Control(weights=torch.tensor([[0.0, 1.0]]), step_size=torch.ones(1))
    before = state.parameters["weights"].clone()
    moved = task.update(state, control)[0].parameters["weights"]
    assert moved[0, -1] == before[0, -1]
    assert (moved[0, :-1] != before[0, :-1]).all()


def test_validation_and_score_are_errors_on_their_own_part():
    state = SMALL.reset(keys_of(1, 2))
    w, a = state.parameters["weights"].split([4, 16], dim=1)

    def error(part: str) -> torch.Tensor:
        u, y = samples(state.data, part)
        predictions = (
            torch.einsum("rnj,rj->rn", u, w)
            + torch.einsum("rnj,rjk,rnk->rn", u, a.view(2, 4, 4), u) / 10
        )
        return (predictions - y).square().mean(dim=1)

    torch.testing.assert_close(SMALL.validate(state)[:, 0], error("validation"))
    torch.testing.assert_close(SMALL.score(state)[:, 1], error("test"))
    assert [metric.name for metric in SMALL.score_metrics] == ["excess_risk", "test_error"]


def test_the_released_preset_has_the_settings_of_the_authors_code():
    task = QuadraticRegression(**QuadraticRegression.presets["released"])
    assert task.optimizer == Adam(learning_rate=5e-4)
    assert (task.max_steps, task.validate_every, task.patience) == (20_000, 10, 100)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dimension", 0),
        ("num_samples", 0),
        ("noise", -1.0),
        ("noise", math.nan),
        ("l1_coefficient", math.inf),
    ],
)
def test_senseless_arguments_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}={value}: expected"):
        replace(SMALL, **{name: value})


@pytest.mark.parametrize(
    ("dimension", "num_samples"), [(1, 1), (4, 20), (7, 30), (16, 200), (33, 111)]
)
@pytest.mark.parametrize("constant", [False, True])
def test_a_run_alone_gets_the_same_bits_as_in_a_batch_for_every_size(
    dimension, num_samples, constant
):
    task = QuadraticRegression(dimension=dimension, num_samples=num_samples, constant=constant)
    numbers = range(9)
    together, different = trained(task, numbers), []
    for i in numbers:
        for name, value in trained(task, [i]).items():
            if not torch.equal(value, together[name][i : i + 1]):
                different.append((i, name))
    assert not different


def trained(task: QuadraticRegression, numbers) -> dict[str, torch.Tensor]:
    """Ten updates that alternate between the losses."""
    state = task.reset(keys_of(*numbers))
    for step in range(10):
        weights = torch.eye(2)[[(number + step) % 2 for number in numbers]]
        state, evaluation = task.update(
            state, Control(weights=weights, step_size=torch.ones(len(numbers)))
        )
    return {
        "targets": state.data["training"]["targets"],
        "parameters": state.parameters["weights"],
        "losses": torch.where(evaluation.measured, evaluation.losses, 0.0),
        "validation": task.validate(state),
        "score": task.score(state),
    }
