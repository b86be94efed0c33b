"""`python -m benchmarks.peers` measures what it says, and its peers compute the same."""

import sys
from functools import partial

import numpy as np
import pytest
import torch

from autoloss_gym.core.task import Keys
from autoloss_gym.tasks.supervised.mlp_classification import MLPClassification
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from benchmarks import ppo_profile, sides
from benchmarks.loops import NumpyPerceptron, NumpyQuadratic
from benchmarks.peers import __main__ as peers
from benchmarks.peers import agreement, own, tables
from benchmarks.peers.protocol import Turn, Worker
from benchmarks.peers.tables import Entry

TINY = {
    "regression": QuadraticRegression(dimension=4, num_samples=20, max_steps=10),
    "classification": MLPClassification(dimension=5, num_samples=20, num_held_out=20, max_steps=20),
}
FAKE = """
from benchmarks.peers.protocol import serve

def make(task, side, runs):
    print("making", task)  # not an answer
    return {"scan": lambda: 10 * runs}[side]

serve(make, {"echo": lambda **details: details})
"""


@pytest.mark.parametrize("name", TINY)
def test_every_side_plays_episodes_of_each_of_its_runs(name, monkeypatch):
    monkeypatch.setattr(own, "TASKS", TINY)
    steps = TINY[name].max_steps
    loops = dict.fromkeys(own.LOOPS, 2 * steps) | {"SB3 DummyVecEnv": steps}
    for side, expected in loops.items():
        assert own.make(name, side, 1)() == expected
    assert own.make(name, own.SINGLE, 1)() == steps
    for side in own.BATCHES:
        assert own.make(name, side, 3)() == 3 * steps


def test_a_segment_plays_the_same_as_its_controls_one_by_one():
    task = TINY["regression"]
    controls = sides.random_pairs(3, 5)
    envs = sides.AutoLossVectorEnv(task, 3)
    envs.reset(seed=0)
    for control in controls:
        apart = envs.step_control(control)[0]
    other = sides.AutoLossVectorEnv(task, 3)
    sides.segments(other, controls[:-1])()
    np.testing.assert_array_equal(other.step_control(controls[-1])[0], apart)


def test_a_worker_plays_turns_answers_requests_and_says_what_went_wrong():
    worker = Worker([sys.executable, "-c", FAKE])
    turn = worker.turn("any", "scan", 3)
    assert turn.steps == 30
    assert turn.processor >= 0
    assert worker.ask("echo", number=1) == {"number": 1}
    assert worker.ask("peak")["bytes"] > 1e6
    with pytest.raises(RuntimeError, match="KeyError: 'other'"):
        worker.turn("any", "other", 1)
    assert worker.turn("any", "scan", 1).steps == 10
    worker.close()
    ended = Worker([sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(RuntimeError, match="ended with status 3"):
        ended.turn("any", "scan", 1)
    ended.close()


def test_sides_take_turns_after_one_that_warms_up_and_ratios_are_of_a_turn():
    order = []

    def play(name, turns):
        order.append(name)
        return next(turns)

    def of(seconds, steps):
        return iter([Turn(steps, second, 2 * second) for second in seconds])

    chosen = {
        Entry("loop", 0): partial(play, "loop", of([9, 1, 4, 1], 8)),
        Entry("scan", 64): partial(play, "scan", of([9, 1, 1, 2], 80)),
        Entry("ours", 64): partial(play, "ours", of([9, 2, 2, 4], 80)),
    }
    measured = peers.take_turns("task", chosen, turns=3)
    assert order == ["loop", "scan", "ours"] * 4
    lines = tables.speed("task", measured, "processor", "loop", "scan").splitlines()
    assert lines[2] == "| loop | 8 | 1.00 [1.00, 1.00] | 1.00 | – |"
    assert lines[4] == "| ours, 64 runs | 40 | 5.00 [3.75, 12.50] | 5.00 | 0.50 [0.50, 0.50] |"


def test_absent_libraries_are_left_out_with_a_line_that_says_how_to_install_them(capsys, tmp_path):
    absent = str(tmp_path / "python")
    command = ["peers", "--jax-python", absent, "--dacbench-python", absent]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", command)
        assert peers.start(peers.parse_arguments()) == {}
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"{library}: left out, there is no {absent}; `make peers` installs it"
        for library in ("jax", "dacbench")
    ]


def test_the_peer_in_jax_computes_the_same():
    python = peers.FOLDER / ".venv-jax" / "bin" / "python"
    if not python.exists():
        pytest.skip("needs JAX: make peers")
    worker = Worker([str(python), "-m", "benchmarks.peers.jax_side"])
    for task in own.TASKS:
        found = agreement.differences(worker, task)
        assert max(found.values()) < agreement.TOLERANCE
        assert len(found) >= 7
    worker.close()


@pytest.mark.parametrize(
    ("name", "by_hand"), [("regression", NumpyQuadratic), ("classification", NumpyPerceptron)]
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
