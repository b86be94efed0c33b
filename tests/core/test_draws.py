"""Numbers that are drawn for several steps at once are those of each step alone."""

import pickle

import pytest
import torch

from autoloss_gym import random
from autoloss_gym.core.draws import DrawnAhead
from autoloss_gym.tools import tree


class Drawer:
    """Draws two kinds of numbers, and counts how often, and for how many rows."""

    def __init__(self):
        self.rows = []

    def __call__(self, keys):
        self.rows.append(len(keys))
        return {"normal": random.normal(keys, (3,)), "places": (random.integers(keys, (2,), 50),)}


def check(ahead, draw, keys, steps):
    found = ahead.of(keys, steps, draw)
    expected = Drawer()(random.fold_in(keys, steps))
    for one, other in zip(tree.leaves(found), tree.leaves(expected), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("num_envs", [1, 5, 33])
def test_every_step_has_its_own_numbers_and_few_draws_serve_many_steps(num_envs):
    ahead, draw, keys = DrawnAhead(), Drawer(), torch.arange(num_envs)
    steps = torch.zeros(num_envs, dtype=torch.int64)
    for _ in range(70):
        check(ahead, draw, keys, steps)
        check(ahead, draw, keys, steps)  # as a measurement before the update
        steps = steps + 1
    assert len(draw.rows) == {1: 7, 5: 4 + 5, 33: 140}[num_envs]
    assert max(draw.rows) <= 64


def test_runs_may_be_at_different_steps_begin_anew_and_be_fewer():
    ahead, draw, keys = DrawnAhead(), Drawer(), torch.arange(4)
    steps = torch.tensor([3, 3, 0, 12])
    for _ in range(6):
        check(ahead, draw, keys, steps)
        steps = steps + 1
    keys, steps = keys.clone(), steps.clone()
    keys[2], steps[2] = 9, 0
    for _ in range(3):
        check(ahead, draw, keys, steps)
        check(ahead, draw, keys[[1, 2]], steps[[1, 2]])
        steps[0] += 1
    check(ahead, draw, keys, steps - 3)


def test_states_that_take_turns_are_drawn_for_one_step_at_a_time():
    ahead, draw = DrawnAhead(), Drawer()
    for step in range(20):
        check(ahead, draw, torch.tensor([1]), torch.tensor([step]))
        check(ahead, draw, torch.tensor([2]), torch.tensor([step]))
    assert draw.rows == [1] * 40


def test_another_process_gets_no_numbers():
    ahead, draw = DrawnAhead(), Drawer()
    check(ahead, draw, torch.tensor([1]), torch.tensor([0]))
    check(pickle.loads(pickle.dumps(ahead)), draw, torch.tensor([1]), torch.tensor([0]))
    assert len(draw.rows) == 2
