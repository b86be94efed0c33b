import math
import pickle

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from autoloss_gym import random
from autoloss_gym.core.state import Keys
from autoloss_gym.core.task import Control
from autoloss_gym.optimizers import LearnedOptimizer, with_weights
from autoloss_gym.optimizers.learned_files import StoredWeights, read_weights, write_weights
from autoloss_gym.optimizers.learned_network import (
    DECAYS,
    NUM_OWN,
    TIMES,
    hidden_size_of,
    num_weights,
    own_features,
    proposals,
    time_features,
)
from autoloss_gym.tasks.images.image_classification import ImageClassification
from autoloss_gym.tools import tree

HIDDEN = 4
COUNT = num_weights(HIDDEN)
RUNS, SIZE = 5, 23
ALL = torch.ones(RUNS, dtype=torch.bool)


def rows(count: int, size: int = COUNT, seed: int = 0) -> torch.Tensor:
    keys = torch.arange(count, dtype=torch.int64) + 100 * seed
    return random.normal(random.fold_in(keys, "weights"), (size,), 0.5)


def optimizer(**changes) -> LearnedOptimizer:
    return LearnedOptimizer(weights=rows(1)[0], **changes)


def digits(**changes) -> ImageClassification:
    arguments = {"num_samples": 20, "batch_size": 4, "hidden_sizes": (4,), "num_test": 20,
                 "num_held_out": 12, "optimizer": optimizer()}  # fmt: skip
    return ImageClassification(**(arguments | changes))


def started(task, count, first=0):
    keys = torch.arange(first, first + count, dtype=torch.int64)
    control = Control(
        weights=torch.tensor([[1.0, 0.0]]).repeat(count, 1), step_size=torch.ones(count)
    )
    return task.reset(Keys(problem=keys, run=keys)), control


def by_hand(weights, point, gradient_rows, sizes):
    """The parameters of one run after steps with these gradients, in NumPy and float64."""
    weights = weights.astype(np.float64)
    hidden = weights[: 31 * HIDDEN].reshape(31, HIDDEN)
    hidden_bias, weights = weights[31 * HIDDEN : 32 * HIDDEN], weights[32 * HIDDEN :]
    output, output_bias = weights[:-2].reshape(HIDDEN, 2), weights[-2:]
    point = point.astype(np.float64)
    decays = np.array(DECAYS)[:, None]
    first, second = np.zeros((5, len(point))), np.zeros((5, len(point)))
    for step, gradient in enumerate(gradient_rows.astype(np.float64)):
        first = decays * first + (1 - decays) * gradient
        second = decays * second + (1 - decays) * gradient**2
        inverse = 1 / np.sqrt(second + 1e-12)
        features = np.concatenate(
            [gradient[None], first * inverse, point[None], first, second, inverse]
        )
        begin = 0
        for size in sizes:
            part = features[:, begin : begin + size]
            part /= np.sqrt((part**2).mean(axis=1, keepdims=True) + 1e-12)
            begin += size
        times = np.tanh(step / np.array(TIMES) - 1)
        whole = np.concatenate([features, np.repeat(times[:, None], len(point), axis=1)])
        d, m = np.maximum(whole.T @ hidden + hidden_bias, 0) @ output + output_bias @ np.eye(2), 0
        d, m = d[:, 0], d[:, 1]
        point = point - 0.001 * d * np.exp(0.001 * m)
    return point


def test_there_are_31_features_of_which_nine_tell_the_time():
    features = own_features(
        torch.tensor([[2.0]]),
        torch.tensor([[3.0]]),
        torch.arange(1.0, 6.0).view(1, 5, 1),
        torch.tensor([4.0, 9.0, 16.0, 25.0, 36.0]).view(1, 5, 1),
    )
    ratios = [1 / 2, 2 / 3, 3 / 4, 4 / 5, 5 / 6]
    inverses = [1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6]
    expected = [3.0, *ratios, 2.0, 1.0, 2.0, 3.0, 4.0, 5.0, 4.0, 9.0, 16.0, 25.0, 36.0, *inverses]
    torch.testing.assert_close(features.flatten(), torch.tensor(expected))
    assert (NUM_OWN, NUM_OWN + len(TIMES)) == (22, 31)
    times = time_features(torch.tensor([0, 3]), torch.float32)
    torch.testing.assert_close(times[0], torch.full((9,), math.tanh(-1)))
    assert times[1, 0] == 0


def test_a_run_takes_the_steps_computed_by_hand_with_features_scaled_over_each_tensor():
    sizes = (16, 7)
    ours = optimizer().on(sizes)
    point, gradients = rows(1, SIZE, seed=1), rows(6, SIZE, seed=2)
    state, parameters = ours.init(point), point.clone()
    for gradient in gradients:
        ours.update(parameters, gradient[None], state, ALL[:1], torch.ones(1))
    expected = by_hand(rows(1)[0].numpy(), point[0].numpy(), gradients.numpy(), sizes)
    np.testing.assert_allclose(parameters[0].numpy(), expected, rtol=0, atol=2e-6)
    alone = by_hand(rows(1)[0].numpy(), point[0].numpy(), gradients.numpy(), (SIZE,))
    assert np.abs(expected - alone).max() > 1e-4


def test_the_rate_and_the_step_size_are_factors_on_the_step():
    point, gradient = rows(RUNS, SIZE, seed=1), rows(RUNS, SIZE, seed=2)
    moved = []
    for rate, factor in ((1.0, 1.0), (3.0, 1.0), (1.0, 3.0)):
        ours = optimizer(learning_rate=rate)
        parameters = point.clone()
        ours.update(parameters, gradient, ours.init(point), ALL, torch.full((RUNS,), factor))
        moved.append(parameters - point)
    torch.testing.assert_close(moved[1], 3 * moved[0])
    assert torch.equal(moved[1], moved[2])


def test_idle_runs_keep_every_bit_and_the_others_do_not():
    ours, parameters = optimizer(), rows(RUNS, SIZE, seed=1)
    state = ours.init(parameters)
    active = torch.tensor([True, False, True, False, True])
    for gradient in rows(3 * RUNS, SIZE, seed=2).view(3, RUNS, SIZE):
        before = tree.clone({**state, "parameters": parameters})
        ours.update(parameters, gradient, state, active, torch.ones(RUNS))
        for name, value in {**state, "parameters": parameters}.items():
            assert torch.equal(value[~active], before[name][~active]), name
            assert name == "weights" or not torch.equal(value[active], before[name][active]), name


@pytest.mark.parametrize("count", [2, 5, 70])
def test_one_set_of_weights_a_run_gives_each_the_bits_that_it_has_alone(count):
    task = digits()
    weights = rows(count)

    def end(rows_of_runs, first):
        state, control = started(task, len(rows_of_runs), first)
        state.optimizer = with_weights(state.optimizer, rows_of_runs.clone())
        for _ in range(4):
            state, _ = task.update(state, control)
        return state.parameters["network"]

    together = end(weights, 0)
    for run in (0, 1, count - 1):
        assert torch.equal(end(weights[run : run + 1], run), together[run : run + 1])
    assert not torch.equal(together[0], end(weights[1:2], 0)[0])


def test_gradients_through_updates_agree_with_finite_differences():
    """Of a sum of quartic losses, whose gradients are themselves differentiated."""
    ours, point = optimizer(), rows(2, SIZE, seed=4).double()
    weights, direction = rows(2).double(), rows(2, seed=5).double()

    def loss(rows_of_runs):
        parameters, state = point, {**ours.init(point), "weights": rows_of_runs}
        for _ in range(3):
            gradients = parameters**3
            parameters, state = parameters.clone(), tree.clone(state)
            ours.update(parameters, gradients, state, ALL[:2], torch.ones(2).double())
        return (parameters**4).sum()

    own = weights.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(own), own)
    step = 1e-6
    ends = [loss(weights + sign * step * direction).detach() for sign in (1, -1)]
    slope = (ends[0] - ends[1]) / (2 * step)
    torch.testing.assert_close((gradient * direction).sum(), slope, rtol=1e-5, atol=0.0)


def test_a_differentiable_update_of_a_task_brings_gradients_to_every_run_of_its_own():
    task = digits()
    state, control = started(task, 2)
    weights = rows(2).requires_grad_()
    state.optimizer = with_weights(state.optimizer, weights)
    for _ in range(2):
        state, _ = task.update(state, control, differentiable=True)
    (gradient,) = torch.autograd.grad(state.parameters["network"][1].sum(), weights)
    assert (gradient[0] == 0).all()
    assert (gradient[1] != 0).any()


def test_a_gradient_of_zero_has_a_finite_derivative():
    ours, parameters = optimizer(), rows(1, SIZE)
    state = ours.init(parameters)
    weights = rows(1).requires_grad_()
    steps = proposals(
        parameters, torch.zeros(1, SIZE), {**state, "weights": weights},
        time_features(state["steps"], torch.float32), (SIZE,),
    )  # fmt: skip
    steps.sum().backward()
    assert torch.isfinite(weights.grad).all()


def test_it_can_be_compared_hashed_and_pickled():
    one, same, other = optimizer(), optimizer(), optimizer(learning_rate=2.0)
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert LearnedOptimizer(weights=rows(1, seed=3)[0]) != one
    assert pickle.loads(pickle.dumps(one)) == one
    assert len(repr(one)) < 200


def test_a_file_gives_the_same_steps_as_the_weights_that_were_written(tmp_path):
    path = tmp_path / "optimizer.safetensors"
    row = rows(1)[0].numpy()
    deviation = np.full_like(row, 0.1)
    write_weights(path, StoredWeights(row, deviation))
    stored = read_weights(path)
    np.testing.assert_array_equal(stored.mean, row)
    np.testing.assert_array_equal(stored.deviation, deviation)
    parameters = rows(2, SIZE)
    from_file = LearnedOptimizer(file=str(path))
    assert torch.equal(from_file.init(parameters)["weights"], rows(1).repeat(2, 1))
    path.unlink()  # a task that was made goes on without it, also in another process
    again = pickle.loads(pickle.dumps(from_file.on((SIZE,))))
    assert torch.equal(again.init(parameters)["weights"], rows(1).repeat(2, 1))


def test_what_is_no_file_of_a_learned_optimizer_is_refused_in_one_line(tmp_path):
    path = tmp_path / "optimizer.safetensors"
    with pytest.raises(ValueError, match=r"there is no file .*--algo learned_optimizer"):
        LearnedOptimizer(file=str(path))
    path.write_bytes(b"weights")
    with pytest.raises(ValueError, match="is no file of a learned optimizer"):
        LearnedOptimizer(file=str(path))
    save_file({"mean": np.zeros(COUNT, np.float32)}, path)
    with pytest.raises(ValueError, match="is no file of a learned optimizer"):
        LearnedOptimizer(file=str(path))
    row = np.full(COUNT, np.nan, np.float32)
    write_weights(path, StoredWeights(row))
    with pytest.raises(ValueError, match="expected finite float32") as error:
        LearnedOptimizer(file=str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "expected one of them"),
        ({"file": "a", "weights": (0.0,) * COUNT}, "expected one of them"),
        ({"weights": (0.0,) * 7}, "weights are 7 numbers"),
        ({"weights": (math.nan,) * COUNT}, "weights hold nan"),
        ({"weights": "text"}, "expected 34 h"),
        ({"weights": (0.0,) * COUNT, "learning_rate": 0.0}, "learning_rate"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(arguments, reason):
    with pytest.raises(ValueError, match=reason) as error:
        LearnedOptimizer(**arguments)
    assert "\n" not in str(error.value)


def test_only_some_numbers_of_weights_make_a_network():
    assert [hidden_size_of(count) for count in (0, 2, 35, 36, 37, 70, 1090)] == [
        0,
        0,
        0,
        1,
        0,
        2,
        32,
    ]


def test_weights_of_another_shape_are_refused():
    state, _ = started(digits(), 2)
    with pytest.raises(ValueError, match="a row for each run"):
        with_weights(state.optimizer, rows(3))


def test_runs_on_the_meta_device():
    keys = torch.zeros(3, dtype=torch.int64, device="meta")
    ours = optimizer().on((16, 7))
    parameters = torch.zeros(3, SIZE, device="meta")
    ours.update(parameters, parameters, ours.init(parameters), keys == 0, parameters[:, 0])
    assert parameters.shape == (3, SIZE)
