import math

import pytest
import torch

from autoloss_gym.controls.schedule import Schedule
from autoloss_gym.tools.arguments import build


def test_logarithms_are_linear_between_the_knots():
    schedule = Schedule(weights=((1.0, 4.0), (1.0, 1.0), (1.0, 9.0)), step_size=(1.0, 2.0, 0.5))
    weights, step_size = schedule.logs(torch.tensor([0.0, 0.25, 0.5, 0.875, 1.0]))
    expected = [math.log(4), math.log(2), 0, 0.75 * math.log(9), math.log(9)]
    torch.testing.assert_close(weights[:, 1], torch.tensor(expected))
    steps = [0, math.log(2) / 2, math.log(2), -math.log(2) / 2, -math.log(2)]
    torch.testing.assert_close(step_size, torch.tensor(steps), atol=1e-6, rtol=1e-6)
    assert not weights[:, 0].any()


def test_a_schedule_of_one_knot_is_constant():
    weights, step_size = Schedule(weights=((2.0, 2.0),), step_size=(3.0,)).logs(torch.tensor([0.3]))
    torch.testing.assert_close(weights, torch.full((1, 2), math.log(2)))
    torch.testing.assert_close(step_size, torch.full((1,), math.log(3)))


def test_a_schedule_is_made_from_the_lists_of_a_file():
    made = build(Schedule, {"weights": [[1, 2], [3, 4]], "step_size": [1, 2]})
    assert made == Schedule(weights=((1.0, 2.0), (3.0, 4.0)), step_size=(1.0, 2.0))
    assert made.num_pairs == 2


@pytest.mark.parametrize(
    ("weights", "step_size", "message"),
    [
        (((1, 2), (3,)), (1, 1), "expected as many rows as step sizes"),
        (((1, 2),), (1, 1), "expected as many rows as step sizes"),
        ((), (), "expected as many rows as step sizes"),
        (((1, 0),), (1,), "a number from 1e-30 to 1e30"),
        (((1, 1),), (-1,), "a number from 1e-30 to 1e30"),
        (((1, 1e-60),), (1,), "a number from 1e-30 to 1e30"),
        (((1, math.nan),), (1,), "a number from 1e-30 to 1e30"),
    ],
)
def test_a_schedule_that_cannot_be_played_is_refused_in_one_line(weights, step_size, message):
    with pytest.raises(ValueError, match=message):
        build(Schedule, {"weights": weights, "step_size": step_size})


def test_the_smallest_and_the_largest_factor_have_finite_logarithms():
    schedule = Schedule(weights=((1e-30, 1e30), (1.0, 1.0)), step_size=(1e-30, 1e30))
    for logs in schedule.logs(torch.tensor([0.0, 0.3, 1.0])):
        assert torch.isfinite(logs).all()
