"""Schedules as vectors, and candidates spread around one of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.evaluation.entrants import make_entrant
from agents.policies.grammar import parse_specification
from agents.policies.search_space import SearchSpace, spread_points
from autoloss_gym.controllers.policies.loss_schedule import LossSchedule
from autoloss_gym.controllers.policies.open_loop import OpenLoop
from autoloss_gym.controls.schedule import Schedule
from tests.support.toy_tasks import SMALL, Fragile

SPLIT = replace(SMALL, penalty="split")


@pytest.mark.parametrize("task", [SMALL, SPLIT, Fragile()], ids=["two", "three", "no shared"])
@pytest.mark.parametrize("knots", [1, 3])
def test_a_vector_is_read_back_from_its_schedule(task, knots):
    space = SearchSpace.of(task, knots)
    vector = np.random.default_rng(0).normal(size=space.size)
    np.testing.assert_allclose(space.vector(space.schedule(vector)), vector, atol=1e-5)
    assert space.schedule(np.zeros(space.size)) == Schedule(
        weights=((1.0,) * len(task.pairs),) * knots, step_size=(1.0,) * knots
    )


def test_an_entry_is_the_logarithm_of_a_weight_relative_to_the_first_or_of_the_step_size():
    schedule = SearchSpace.of(SPLIT, 2).schedule(np.log([2.0, 3.0, 5.0, 0.5, 0.5, 0.1]))
    np.testing.assert_allclose(schedule.weights[0], np.array([1, 2, 3]) * 3 / 6, rtol=1e-5)
    np.testing.assert_allclose(schedule.weights[1], np.array([2, 1, 1]) * 3 / 4, rtol=1e-5)
    np.testing.assert_allclose(schedule.step_size, [5, 0.1])


def test_a_schedule_of_other_knots_is_interpolated_in_the_logarithm():
    space = SearchSpace.of(SMALL, 3)
    start = Schedule(weights=((1.0, 1.0), (1.0, 16.0)), step_size=(4.0, 1.0))
    np.testing.assert_allclose(
        space.vector(start).reshape(3, 2), np.log([[1, 4], [4, 2], [16, 1]]), atol=1e-12
    )


def test_weights_are_probabilities_where_no_parameters_have_two_losses():
    assert SearchSpace.of(Fragile(), 2).draw
    assert not SearchSpace.of(SMALL, 2).draw


def test_an_open_loop_has_the_probabilities_and_no_step_size():
    space = SearchSpace(SPLIT, 2, draw=True, step_size=False)
    policy = space.policy(space.schedule(np.log([1.0, 2.0, 0.5, 0.5])))
    assert isinstance(policy, OpenLoop)
    np.testing.assert_allclose(policy.knots, [(0.25, 0.25, 0.5), (0.5, 0.25, 0.25)], rtol=1e-5)
    assert policy.label == "p = 0.25/0.25 → 0.50/0.25"


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_the_first_points_are_spread_for_every_number_of_them(size):
    points = spread_points(50, size)
    assert points.shape == (50, size)
    assert not points[0].any()
    np.testing.assert_array_equal(spread_points(7, size), points[:7])
    for count in (8, 20, 50):
        assert abs(points[:count].mean(axis=0)).max() < 0.35
        assert points[:count].std(axis=0).min() > 0.6
        assert points[:count].std(axis=0).max() < 1.4
    distances = np.linalg.norm(points[:, None] - points, axis=2) + 9 * np.eye(50)
    assert distances.min() > 0.01


def test_a_space_of_step_sizes_alone_has_equal_weights():
    space = SearchSpace(SMALL, 2, draw=False, weights=False)
    assert (space.size, space.shape) == (2, (2, 1))
    found = space.schedule(np.log([0.5, 2.0]))
    assert found == Schedule(weights=((1.0, 1.0), (1.0, 1.0)), step_size=(0.5, 2.0))
    np.testing.assert_allclose(space.vector(found), np.log([0.5, 2.0]))


# What is played


def play(policy, steps):
    policy.reset(np.arange(len(steps)))
    return policy.act(np.zeros((len(steps), 1), np.float32), {"steps": np.array(steps)})


def test_weights_and_step_size_are_log_linear_between_knots_and_sum_to_the_number_of_pairs():
    schedule = Schedule(weights=((1.0, 1.0), (1.0, 9.0)), step_size=(1.0, 0.01))
    control = play(LossSchedule("w", schedule, max_steps=100), [0, 50, 99])
    assert control.choice is None
    torch.testing.assert_close(control.weights[:2], torch.tensor([[1.0, 1.0], [0.5, 1.5]]))
    torch.testing.assert_close(control.weights.sum(dim=1), torch.full((3,), 2.0))
    torch.testing.assert_close(control.step_size[:2], torch.tensor([1.0, 0.1]))


def test_probabilities_draw_one_pair_with_the_step_size_of_the_moment():
    schedule = Schedule(weights=((3.0, 1.0), (1.0, 3.0)), step_size=(2.0, 0.5))
    steps = np.repeat([0, 99], 4000)
    control = play(LossSchedule("p", schedule, max_steps=100, draw=True), steps)
    assert torch.equal(control.weights, torch.eye(2)[control.choice])
    assert control.weights[:4000, 0].mean().item() == pytest.approx(0.75, abs=0.03)
    assert control.weights[4000:, 0].mean().item() == pytest.approx(0.25, abs=0.03)
    expected = torch.tensor([2.0, 2.0 * 0.25**0.99])
    torch.testing.assert_close(control.step_size[[0, 7999]], expected)


# Entrants


def entrant(text, task=SMALL):
    return make_entrant(parse_specification(text), task, "")


def test_constants_begin_with_plain_training_and_the_first_of_many_are_those_of_few():
    few, many = entrant("constant_each:5"), entrant("constant:30")
    assert (few.mode, many.mode) == ("each", "tuned")
    assert many.static
    assert many.candidates[:5] == few.candidates
    assert many.candidates[0].schedule == Schedule.constant(2)
    steps = np.array([policy.schedule.step_size[0] for policy in many.candidates])
    ratios = np.array([np.divide(*policy.schedule.weights[0]) for policy in many.candidates])
    assert 1000 > steps.max() / steps.min() > 30
    assert ratios.max() / ratios.min() > 1000  # farther than shifts of a schedule
    assert abs(np.corrcoef(np.log(steps), np.log(ratios))[0, 1]) < 0.3


def test_shifts_move_the_whole_schedule_and_the_first_is_none():
    search = entrant("shifted_each:8").search
    assert (entrant("shifted_each:8").mode, entrant("shifted_each:8").candidates) == ("each", [])
    found = search.space.schedule(np.array([1.0, 0.5, -2.0, 0.0, 0.3, -0.7, 0.1, 0.2]))
    first, *others = search.candidates((Schedule.constant(2), found))
    np.testing.assert_allclose(first.schedule.weights, found.weights, rtol=1e-5)
    assert first.schedule.step_size == found.step_size
    for policy in others:
        moved = search.space.vector(policy.schedule) - search.space.vector(found)
        shift = moved.reshape(search.space.shape)
        np.testing.assert_allclose(shift, shift[:1].repeat(4, axis=0), atol=1e-4)
        assert 0.05 < abs(shift).max() < 1.5 * 2
    assert len({policy.label for policy in others}) == 7


def test_a_search_offers_the_schedules_of_its_later_generations_once_each():
    search = entrant("schedule:1").search
    first, second, third = (
        Schedule(weights=((1.0, weight),), step_size=(1.0,)) for weight in (1.0, 2.0, 3.0)
    )
    offered = search.candidates((first, second, third, third))
    assert [policy.schedule for policy in offered] == [third]
    assert [policy.schedule for policy in search.candidates((first, second))] == [second]


@pytest.mark.parametrize(
    ("text", "size", "runs"),
    [
        ("schedule", 8, 9_600),
        ("schedule:6", 12, 9_600),
        ("schedule:1,500", 2, 480),
        ("open_loop", 4, 9_600),
        ("open_loop:3,1000", 3, 960),
        ("shifted_each", 8, 9_600),
        ("shifted_each:5,500", 8, 480),
    ],
)
def test_a_specification_says_what_is_searched_and_what_that_costs_at_most(text, size, runs):
    search = entrant(text).search
    assert (search.space.size, search.plan.training_runs) == (size, runs)


def test_schedule_and_its_shifts_are_one_search():
    schedule, shifted = entrant("schedule").search, entrant("shifted_each").search
    assert (schedule.space, schedule.plan) == (shifted.space, shifted.plan)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("schedule:0", "0 is not in the range 1 to 100"),
        ("schedule:4,", "'' is not a whole number"),
        ("schedule:4,0", "0 is not in the range 1 to"),
        ("schedule:4,5000000", "is not in the range 1 to 4000000"),
        ("shifted_each:1001", "is not in the range 1 to 1000"),
        ("open_loop:101", "is not in the range 2 to 100"),
        ("constant:0", "0 is not in the range 1 to 1000"),
        ("constant_each:many", "'many' is not a whole number"),
    ],
)
def test_bad_numbers_are_one_line(text, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        parse_specification(text)
    assert "\n" not in str(caught.value)


def test_too_small_a_budget_is_one_line():
    with pytest.raises(ValueError, match="policy 'schedule:4,50': a search in 50 training runs: "):
        entrant("schedule:4,50")
