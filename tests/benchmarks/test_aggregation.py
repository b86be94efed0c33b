"""`benchmarks/aggregation.py` plays the policies that it names."""

import pytest

from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from benchmarks.aggregation import playing

SMALL = QuadraticRegression(dimension=4, num_samples=20, max_steps=10)


@pytest.mark.parametrize("text", ["fixed:1", "annealing", "mgda"])
def test_a_side_counts_the_updates_of_all_its_runs(text):
    if text == "mgda":
        pytest.importorskip("torchjd.aggregation")
    play = playing(text, SMALL, 3, 12)
    assert (play(), play()) == (36, 36)
