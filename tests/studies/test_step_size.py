"""`studies/step_size`: numbers by hand, and that its parts say what their sizes allow."""

import importlib
import math
import sys

import numpy as np
import pytest

from agents.command_line import main
from studies.step_size import study
from studies.step_size.descent import descend
from studies.step_size.gradients import exact_slopes, failures, plain_slopes
from studies.step_size.settings import best_step_size, published_problem, quadratic, slopes
from studies.step_size.validation import outcome

GRID = np.array([0.001, 0.003, 0.3])
DIAGONAL = {"eigenvalues": (4.0, 1.0), "start": (0.6, 0.8)}


def test_the_formula_with_eigenvalues_has_the_published_derivatives():
    found = exact_slopes(DIAGONAL, np.array([0.0, 0.3, 0.4, 1.0]), 10)
    np.testing.assert_allclose(found, [-6.1538461538, -2.8571428559, 8.2051282051, 2.6666666667])
    at_80 = exact_slopes(published_problem(), np.array([0.1]), 80)
    np.testing.assert_allclose(at_80, [23.7954708], rtol=1e-8)


def test_what_is_differentiated_agrees_with_the_formula():
    rates = np.linspace(0.01, 0.1, 5)
    problem = published_problem()
    found = slopes(quadratic(problem, 20), rates)[1]
    np.testing.assert_allclose(found, exact_slopes(problem, rates, 20), rtol=1e-9)
    assert best_step_size(DIAGONAL, 1) == pytest.approx(0.2702702703, abs=1e-6)


def test_plain_back_propagation_is_told_apart_from_a_right_one():
    problem = published_problem()
    rates = np.array([0.005, 0.05, 0.1])
    exact = exact_slopes(problem, rates, 80)
    plain = plain_slopes(problem, rates, 80, "float32")
    assert failures(plain, exact) == ["33 %", "33 %", "33 %", "0 %"]
    assert failures(exact, exact) == ["100 %", "0 %", "0 %", "0 %"]
    assert failures(-exact, exact)[3] == "100 %"


def test_a_meta_descent_starts_at_its_start_and_is_projected():
    path = descend(2, 2, "log")
    assert path[0] == pytest.approx(0.1)
    assert path[1] == 0.0
    (slope,) = exact_slopes(published_problem(), path[1:2], 2)
    assert path[2] == pytest.approx(-slope / 100 / math.sqrt(2))
    assert (descend(2, 3, "final") >= 0).all()


def test_validation_chooses_a_shorter_step_and_fits_the_training_data_less():
    by_training = outcome("train", 2.0, 50, seeds=1, problems=4, grid=GRID)
    by_validation = outcome("validation", 2.0, 50, seeds=1, problems=4, grid=GRID)
    assert by_validation.chosen[0] < by_training.chosen[0] / 10
    assert by_training.train.mean() < 0.2 < by_validation.train.mean()
    assert by_validation.test.mean() < by_training.test.mean()


def test_parts_are_modules_that_run(tmp_path, capsys, monkeypatch):
    for module in study.PARTS.values():
        assert callable(importlib.import_module(module).run)
    given = ["step_size", "horizon", "--quick", "-o", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", given)
    assert not main(study.run)
    assert "0.330469" in capsys.readouterr().out
    assert (tmp_path / "step_size_horizon.png").stat().st_size > 10_000


def test_a_part_that_is_none_is_refused_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["step_size", "horizons"])
    with pytest.raises(SystemExit):
        study.run()
    assert "horizon" in capsys.readouterr().err
