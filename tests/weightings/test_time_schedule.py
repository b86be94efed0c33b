"""Weights that follow the number of calls."""

import math

import numpy as np
import pytest
import torch

from autoloss_gym.weightings import TimeSchedule

KNOTS = [1.0, [(3, 0.0), (7, 10.0)], [(0, 2.0), (4, 0.5), (5, 8.0), (9, 1e-3)]]


def expected(between, time):
    """By NumPy's interpolation, of logarithms where both ends are positive."""
    weights = []
    for own in ([(0, 1.0)], *KNOTS[1:]):
        calls, values = np.array(own, dtype=np.float64).T
        weight = np.interp(time, calls, values)
        if between == "log" and (values > 0).all():
            weight = math.exp(np.interp(time, calls, np.log(values)))
        weights.append(weight)
    return weights


@pytest.mark.parametrize("between", ["linear", "log"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_lie_between_the_knots(between, dtype):
    one, batch = TimeSchedule(KNOTS, between=between), TimeSchedule(KNOTS, between=between)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-6
    for time in range(14):
        losses = torch.ones(3, dtype=dtype)
        wanted = expected(between, time)
        np.testing.assert_allclose(one.update(losses), wanted, rtol=tolerance, atol=1e-30)
        np.testing.assert_allclose(
            batch.update(losses.expand(4, 3))[2], wanted, rtol=tolerance, atol=1e-30
        )


def test_each_run_follows_its_own_number_of_calls():
    rule = TimeSchedule(KNOTS)
    for _ in range(5):
        rule.update(torch.ones(2, 3))
    rule.reset(torch.tensor([False, True]))
    weights = rule.update(torch.ones(2, 3))
    np.testing.assert_allclose(weights[0], expected("linear", 5), rtol=1e-6)
    np.testing.assert_allclose(weights[1], expected("linear", 0), rtol=1e-6)


def test_a_loss_may_be_anything_and_where_all_weights_are_zero_they_are_equal():
    rule = TimeSchedule([0.0, [(1, 0.0), (2, 1.0)]])
    weights = [rule.update([math.nan, math.inf]).tolist() for _ in range(3)]
    assert weights == [[0.5, 0.5], [0.5, 0.5], [0.0, 1.0]]


def test_fifty_losses_may_have_as_many_knots_as_they_need():
    knots = [[(start, 0.0), (start + 10, 1.0)] if start % 3 else 1.0 for start in range(50)]
    rule = TimeSchedule(knots, scale="sum")
    for _ in range(21):
        weights = rule.update(torch.ones(50))
    raw = np.array([min(max((20 - k) / 10, 0), 1) if k % 3 else 1.0 for k in range(50)])
    np.testing.assert_allclose(weights, raw / raw.sum(), rtol=1e-6)


@pytest.mark.parametrize(
    "knots",
    [
        (), 3, "ab", [-1.0], [math.nan], [True], [1e31], [[]], [[(0, 1), (0, 2)]], [[(5, 1), (3, 2)]],
        [[(0.5, 1)]], [[(-1, 1)]], [[(0, -1)]], [[(0, math.inf)]], [[(0,)]], [[0, 1]], [[(2**40, 1)]],
        [None], [[("0", 1)]],
    ],
)  # fmt: skip
@pytest.mark.usefixtures("unchecked")
def test_knots_that_are_none_are_one_line(knots):
    with pytest.raises(ValueError, match=r"knots=.*: expected for each loss a number") as caught:
        TimeSchedule(knots)
    assert "\n" not in str(caught.value)


def test_too_few_losses_are_one_line_and_the_last_entry_is_that_of_further_ones():
    with pytest.raises(
        ValueError, match=r"knots=.*: expected at most 2 entries, one for each loss"
    ):
        TimeSchedule(KNOTS).update([1.0, 2.0])
    rule = TimeSchedule(KNOTS[:2])
    for time in range(9):
        weights = rule.update(torch.ones(4))
        first, second, _ = expected("linear", time)
        np.testing.assert_allclose(weights, [first, second, second, second], rtol=1e-6)


@pytest.mark.usefixtures("unchecked")
def test_knots_may_come_as_arrays_and_lists_and_are_saved_as_they_are():
    rule = TimeSchedule([1, np.array([[3, 0], [7, 10]]), [[0, 2.0], [4, 0.5], [5, 8.0], [9, 1e-3]]])
    assert rule.knots == TimeSchedule(KNOTS).knots
    rule.update([1.0, 2.0, 3.0])
    other = TimeSchedule(KNOTS)
    other.load_state_dict(rule.state_dict())
    with pytest.raises(ValueError, match=r"knots"):
        TimeSchedule([1.0, 2.0, 3.0]).load_state_dict(rule.state_dict())
