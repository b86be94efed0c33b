"""Probabilities that change with progress, and their search."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.evaluation.rollout import Episodes
from agents.evaluation.schedule_search import GENERATIONS, POPULATION, PROBLEMS, search
from agents.policies.open_loop import OpenLoop
from tests.support.toy_tasks import SMALL

SEEDS = np.arange(GENERATIONS * PROBLEMS)


def shares(policy, step, runs=20_000):
    """Share of each pair among the choices of many runs at that step."""
    policy.reset(np.arange(runs))
    control = policy.act(np.zeros((runs, 1), np.float32), {"steps": np.broadcast_to(step, runs)})
    assert torch.equal(control.weights, torch.eye(len(policy.knots[0]))[control.choice])
    return control.weights.mean(dim=0).tolist()


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, 0.8), (50, 0.2), (25, 0.5), (10, 0.68), (75, 0.4), (99, 0.592)],
    ids=["start", "knot", "half-way", "fifth", "second half", "last step"],
)
def test_probabilities_are_those_of_the_knots_and_linear_between(step, expected):
    policy = OpenLoop("p", ((0.8, 0.2), (0.2, 0.8), (0.6, 0.4)), max_steps=100)
    assert shares(policy, step)[0] == pytest.approx(expected, abs=0.015)


def test_all_probabilities_of_three_pairs_are_interpolated():
    policy = OpenLoop("p", ((0.7, 0.2, 0.1), (0.1, 0.3, 0.6)), max_steps=40)
    assert shares(policy, 20) == pytest.approx([0.4, 0.25, 0.35], abs=0.015)


def test_runs_at_different_steps_have_their_own_probabilities_and_the_last_knot_is_the_end_of_training():
    policy, steps = OpenLoop("p", ((1.0, 0.0), (0.0, 1.0)), max_steps=4), np.repeat([0, 1, 3], 8000)
    policy.reset(np.arange(24_000))
    choice = policy.act(np.zeros((24_000, 1), np.float32), {"steps": steps}).choice
    assert [choice[steps == step].mean() for step in (0, 1, 3)] == pytest.approx(
        [0, 0.25, 0.75], abs=0.02
    )
    assert not choice[steps == 0].any()


def test_choices_are_a_function_of_the_seed_not_of_the_batch():
    together, alone = (OpenLoop("p", ((0.5, 0.5), (0.5, 0.5)), max_steps=50) for _ in range(2))
    together.reset(np.arange(8))
    alone.reset(np.array([5]))
    drawn = [[policy.act(np.zeros((n, 1)), {"steps": np.full(n, step)}).choice for policy, n in ((together, 8), (alone, 1))]
             for step in range(50)]  # fmt: skip
    assert all(of_all[5] == of_one[0] for of_all, of_one in drawn)
    assert len({int(of_one[0]) for _, of_one in drawn}) == 2


# The search


class Game:
    """Scores a schedule by its distance from the one that is wanted, the same on every problem;
    keeps what was played.
    """

    def __init__(self, wanted, minimize=True):
        self.wanted, self.sign, self.played = np.array(wanted), 1 if minimize else -1, []

    def distance(self, policy):
        return np.abs(np.array(policy.knots) - self.wanted).max()

    def __call__(self, policies, seeds):
        self.played.append((len(policies), seeds.tolist()))
        scores = [np.full(len(seeds), self.sign * self.distance(policy)) for policy in policies]
        return [Episodes({"best_score": each}, np.zeros((1, 2))) for each in scores]


@pytest.mark.parametrize("minimize", [True, False])
@pytest.mark.parametrize(
    ("task", "wanted"),
    [
        (SMALL, [(0.8, 0.2), (0.2, 0.8)]),
        (SMALL, [(0.2, 0.8), (0.6, 0.4), (0.9, 0.1)]),
        (replace(SMALL, penalty="split"), [(0.2, 0.3, 0.5), (0.6, 0.3, 0.1)]),
    ],
    ids=["falling", "rising", "three pairs"],
)
def test_the_search_finds_the_schedule_with_the_best_score_in_either_direction(
    task, wanted, minimize
):
    game = Game(wanted, minimize)
    found = search(task, len(wanted), game, SEEDS, minimize)
    assert game.distance(found[-1]) < 0.08
    assert game.distance(found[-1]) < game.distance(found[0])
    assert [sum(knot) for knot in found[-1].knots] == pytest.approx([1.0] * len(wanted))
    assert {policy.max_steps for policy in found} == {task.max_steps}


def test_every_generation_is_played_on_new_problems_and_gives_one_schedule():
    game = Game([(0.8, 0.2), (0.2, 0.8)])
    assert len(search(SMALL, 2, game, SEEDS, minimize=True)) == GENERATIONS == len(game.played)
    assert {count for count, _ in game.played} == {POPULATION}
    assert [seed for _, seeds in game.played for seed in seeds] == SEEDS.tolist()


def test_the_search_is_repeatable_and_its_schedules_are_labelled_by_their_knots():
    first, second = (
        search(SMALL, 2, Game([(0.8, 0.2), (0.2, 0.8)]), SEEDS, minimize=True) for _ in range(2)
    )
    assert first == second
    start, end = (knot[0] for knot in first[-1].knots)
    assert first[-1].label == f"p = {start:.2f} → {end:.2f}"
    assert first[-1].static
