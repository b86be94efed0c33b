"""`benchmarks/throughput.py` measures what it says."""

import numpy as np
import pytest

from autoloss_gym.tasks.mlp_classification import MLPClassification
from autoloss_gym.tasks.quadratic_regression import QuadraticRegression
from benchmarks import throughput

TINY = {
    "regression": QuadraticRegression(dimension=4, num_samples=20, max_steps=10),
    "mlp": MLPClassification(dimension=5, num_samples=20, num_held_out=20, max_steps=20),
}


@pytest.mark.parametrize(("name", "num_sides"), [("regression", 6), ("mlp", 5)])
def test_every_side_plays_two_episodes_of_each_of_its_runs(name, num_sides, monkeypatch):
    monkeypatch.setattr(throughput, "TASKS", TINY)
    sides = throughput.sides(name, [3], "cpu")
    assert len(sides) == num_sides
    steps = 2 * TINY[name].max_steps
    runs = {"vector environment, 3 runs": 3, "SB3 SubprocVecEnv(2)": 2}
    assert {side: play() for side, play in sides.items()} == {side: steps * runs.get(side, 1) for side in sides}


def test_ratios_are_taken_within_a_turn_and_the_first_turn_warms_up(monkeypatch):
    clock = iter([0, 0, 0, 1, 0, 2, 0, 4, 0, 2, 0, 1, 0, 4])  # two starts that warm up, then start and end of each
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: next(clock))
    rates = throughput.measure({"loop": lambda: 8, "batch": lambda: 80}, turns=3)
    np.testing.assert_array_equal(rates["loop"], [8, 2, 8])
    np.testing.assert_array_equal(rates["batch"], [40, 40, 20])
    table = throughput.report("task", rates).splitlines()
    assert table[2] == "| loop | 8 | 1.00 [1.00, 1.00] |"
    assert table[3] == "| batch | 40 | 5.00 [3.75, 12.50] |"
