"""`benchmarks/throughput.py` measures what it says."""

import numpy as np
import pytest
import torch

from autoloss_gym.core.task import Keys
from autoloss_gym.tasks.supervised.mlp_classification import MLPClassification
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from benchmarks import ppo_profile, sides, throughput
from benchmarks.loops import NumpyPerceptron, NumpyQuadratic

TINY = {
    "regression": QuadraticRegression(dimension=4, num_samples=20, max_steps=10),
    "mlp": MLPClassification(dimension=5, num_samples=20, num_held_out=20, max_steps=20),
}


@pytest.mark.parametrize("name", TINY)
def test_every_side_plays_two_episodes_of_each_of_its_runs(name, monkeypatch):
    monkeypatch.setattr(throughput, "TASKS", TINY)
    chosen = throughput.sides(name, [3], "cpu", compiled=[])
    assert len(chosen) == 6
    steps = 2 * TINY[name].max_steps
    runs = {"vector environment, 3 runs": 3, "SB3 SubprocVecEnv(2)": 2}
    assert {side: play() for side, play in chosen.items()} == {
        side: steps * runs.get(side, 1) for side in chosen
    }


@pytest.mark.parametrize(
    ("name", "by_hand"), [("regression", NumpyQuadratic), ("mlp", NumpyPerceptron)]
)
def test_the_numpy_loops_have_the_losses_and_gradients_of_the_tasks(name, by_hand):
    task, keys = TINY[name], torch.tensor([5])
    state = task.reset(Keys(problem=keys, run=keys))
    parameters = {name: values.requires_grad_() for name, values in state.parameters.items()}
    loss = task.losses()[task.pairs[0].loss](task.unpack(parameters), state.data["training"])
    expected = torch.autograd.grad(loss.sum(), list(parameters.values()))[0][0]
    theta, gradient = (
        parameters["weights"][0].detach().numpy(),
        np.zeros(expected.shape, dtype=np.float32),
    )
    part = {name: values[0].numpy() for name, values in state.data["training"].items()}
    value = by_hand(task).differentiate(theta, part, gradient)
    assert value == pytest.approx(loss.item(), rel=1e-5)
    np.testing.assert_allclose(gradient, expected.numpy(), rtol=1e-4, atol=1e-6)


def test_the_parts_of_a_ppo_iteration_are_positive_and_reported_as_shares():
    training = ppo_profile.Training("regression", 16, compile=False)
    rollouts = [training.advance() for _ in range(2)]
    assert all(rollout[part] > 0 for rollout in rollouts for part in ppo_profile.PARTS)
    made = [
        dict(zip(ppo_profile.PARTS, (1.0, 0.0, 1.0, 2.0), strict=True)) | {"steps a second": 1000.0}
    ]
    assert ppo_profile.row("eager", made) == [
        "eager",
        "25 [25, 25]",
        "0 [0, 0]",
        "25 [25, 25]",
        "50 [50, 50]",
        "1,000",
    ]


def test_ratios_are_taken_within_a_turn_and_the_first_turn_warms_up(monkeypatch):
    clock = iter(
        [0, 0, 0, 1, 0, 2, 0, 4, 0, 2, 0, 1, 0, 4]
    )  # two starts that warm up, then start and end of each
    monkeypatch.setattr(sides.time, "perf_counter", lambda: next(clock))
    rates = sides.measure({"loop": lambda: 8, "batch": lambda: 80}, turns=3)
    np.testing.assert_array_equal(rates["loop"], [8, 2, 8])
    np.testing.assert_array_equal(rates["batch"], [40, 40, 20])
    table = sides.report("task", rates).splitlines()
    assert table[2] == "| loop | 8 | 1.00 [1.00, 1.00] |"
    assert table[3] == "| batch | 40 | 5.00 [3.75, 12.50] |"
