"""Schedules as vectors, and CMA-ES among vectors."""

import importlib.util

import numpy as np
import pytest

from agents.schedule_vectors import Evolution, check_cmaes, knots_of, label, normalised, schedule_of
from autoloss_gym.controls.schedule import Schedule

LOGS = np.log([[2.0, 4.0, 0.5], [1.0, 0.25, 3.0]])


def test_a_knot_has_the_weights_relative_to_the_first_and_then_the_step_size():
    schedule = schedule_of(LOGS)
    np.testing.assert_allclose(schedule.weights, [[1, 2, 4], [1, 1, 0.25]])
    np.testing.assert_allclose(schedule.step_size, [0.5, 3])
    np.testing.assert_allclose(knots_of(schedule, 2), LOGS, atol=1e-15)
    np.testing.assert_allclose(knots_of(schedule, 3)[1], LOGS.mean(axis=0))


def test_without_a_step_size_every_column_is_a_weight():
    schedule = schedule_of(LOGS, step_size=False)
    np.testing.assert_allclose(schedule.weights, [[1, 2, 4, 0.5], [1, 1, 0.25, 3]])
    assert schedule.step_size == (1, 1)
    np.testing.assert_allclose(knots_of(schedule, 2, step_size=False), LOGS, atol=1e-15)


def test_normalised_weights_keep_their_ratios_and_sum_to_the_number_of_pairs():
    schedule = normalised(schedule_of(LOGS))
    np.testing.assert_allclose(np.sum(schedule.weights, axis=1), [3, 3])
    np.testing.assert_allclose(knots_of(schedule, 2), LOGS, atol=1e-15)


def test_a_label_has_the_shares_of_all_pairs_but_the_last():
    schedule = Schedule(weights=((1.0, 3.0), (3.0, 1.0)), step_size=(1.0, 0.5))
    assert label(schedule, draw=False) == "w = 0.25 → 0.75, step = 1 → 0.5"
    assert label(schedule, draw=True, step_size=False) == "p = 0.25 → 0.75"
    assert label(Schedule.constant(1), draw=False) == "step = 1"


def evolved(wanted, generations=40, seed=0):
    """An evolution that was told how far from `wanted` its candidates are, and all of these."""
    size = len(wanted)
    deviations = np.linspace(0.5, 2, size)
    evolution = Evolution(np.zeros(size), deviations, np.full(size, 3.0), 12, seed)
    asked = []
    for _ in range(generations):
        asked.append(evolution.ask())
        evolution.tell(np.abs(asked[-1] - wanted).sum(axis=1))
    return evolution, np.array(asked)


@pytest.mark.parametrize("wanted", [[1.0], [-2.0, 0.5], [2.5, -1.0, 1.5]])
def test_an_evolution_finds_the_lowest_cost_in_any_number_of_dimensions(wanted):
    evolution, asked = evolved(wanted)
    assert asked.shape == (40, 12, len(wanted))
    np.testing.assert_allclose(evolution.centre, wanted, atol=0.1)


def test_no_candidate_is_out_of_reach():
    evolution, asked = evolved([9.0, -9.0])
    assert np.abs(asked).max() <= 3
    np.testing.assert_allclose(evolution.centre, [3, -3], atol=0.2)


def test_first_candidates_have_the_given_centre_and_deviations():
    centre = np.array([2.0, -1.0])
    first = Evolution(centre, np.array([0.1, 1.0]), np.full(2, 9.0), 2000).ask()
    np.testing.assert_allclose(first.mean(axis=0), centre, atol=0.1)
    np.testing.assert_allclose(first.std(axis=0), [0.1, 1.0], rtol=0.1)


def test_an_evolution_is_rebuilt_from_what_it_was_told():
    evolution, _ = evolved([1.0, 2.0], generations=5)
    other, _ = evolved([1.0, 2.0], generations=0)
    other.repeat(np.array(evolution.told))
    np.testing.assert_array_equal(other.centre, evolution.centre)
    np.testing.assert_array_equal(other.ask(), evolution.ask())
    assert not np.array_equal(evolved([1.0, 2.0], 5, seed=1)[0].centre, evolution.centre)


def test_a_missing_library_is_one_line(monkeypatch):
    check_cmaes("the search")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    expected = r"^the search needs cmaes: pip install 'autoloss_gym\[agents\]', or do without it$"
    with pytest.raises(ValueError, match=expected):
        check_cmaes("the search", ", or do without it")
