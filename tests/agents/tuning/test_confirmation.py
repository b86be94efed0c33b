"""The verdict on the best settings."""

import numpy as np
import pytest

pytest.importorskip("optuna")

from agents.tuning.confirmation import Confirmation

DRAWS = np.random.default_rng(0).normal(size=(5, 40))


@pytest.mark.parametrize(
    ("shift", "minimize", "verdict"),
    [
        (-1.0, True, "are better than"),
        (1.0, True, "are worse than"),
        (1.0, False, "are better than"),
        (-1.0, False, "are worse than"),
        (0.0, True, "are not shown to be better than"),
    ],
)
def test_better_is_said_only_where_the_whole_interval_is(shift, minimize, verdict):
    start = DRAWS[::-1] + 10
    confirmation = Confirmation(best=DRAWS + 10 + shift, start=start, minimize=minimize)
    sentence = confirmation.sentence()
    assert sentence.startswith(f"The best settings {verdict} those to begin with: best_score ")
    assert "5 new training seeds, 40 validation problems that no trial was scored on" in sentence
    assert confirmation.difference.value == pytest.approx(shift, abs=1e-9)


def test_a_verdict_from_fewer_than_five_training_seeds_says_so():
    few = Confirmation(best=DRAWS[:4], start=DRAWS[:4] + 1, minimize=True)
    assert few.sentence().endswith("These are too few training seeds to rely on it.")
    enough = Confirmation(best=DRAWS, start=DRAWS + 1, minimize=True)
    assert enough.sentence().endswith("that no trial was scored on).")
