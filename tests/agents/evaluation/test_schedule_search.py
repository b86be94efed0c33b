"""The search of schedules by CMA-ES."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest

from agents.evaluation.rollout import Episodes
from agents.evaluation.schedule_search import find_schedule, search, whole_search
from agents.policies.search_plan import Plan
from agents.policies.search_space import SearchSpace
from autoloss_gym.controls.schedule import Schedule
from tests.support.toy_tasks import SMALL, Fragile

SPLIT = replace(SMALL, penalty="split")
PLAN = Plan(population=16, problems=2, generations=25)


class Game:
    """Scores a schedule by its distance from the one that is wanted, whose optimum lies elsewhere
    for each problem, and keeps what was played.
    """

    def __init__(self, space, wanted, minimize=True):
        self.space, self.wanted, self.sign = space, np.array(wanted), 1 if minimize else -1
        self.played = []

    def distance(self, schedule):
        return np.abs(self.space.vector(schedule) - self.wanted).max()

    def __call__(self, policies, seeds):
        self.played.append((len(policies), seeds.tolist()))
        episodes = []
        for policy in policies:
            distance = np.abs(self.space.vector(policy.schedule) - self.wanted).sum()
            scores = self.sign * (distance + np.sin(seeds))  # some problems are harder
            episodes.append(Episodes({"best_score": scores}, np.zeros((1, 2))))
        return episodes

    def search(self, plan=PLAN, **more):
        seeds = np.arange(plan.all_problems)
        return search(self.space, plan, self, seeds, minimize=self.sign == 1, **more)


@pytest.mark.parametrize("minimize", [True, False])
@pytest.mark.parametrize(
    ("space", "wanted"),
    [
        (SearchSpace.of(SMALL, 2), [1.0, -0.5, -2.0, 1.0]),
        (SearchSpace.of(SPLIT, 1), [1.5, -2.0, 0.7]),
        (SearchSpace.of(Fragile(), 2), [1.0, -0.5, -2.0, 1.0]),
        (SearchSpace(SMALL, 1, draw=False), [-2.5, 1.0]),
    ],
    ids=["falling weight", "three pairs", "probabilities", "constant"],
)
def test_the_best_weights_and_step_sizes_are_found_in_either_direction(space, wanted, minimize):
    game = Game(space, wanted, minimize)
    found = game.search()
    assert game.distance(found.schedule) < 0.1
    assert game.distance(found.schedules[0]) > 0.15
    assert len(found.schedules) == PLAN.generations


def test_every_generation_is_played_on_new_problems_and_every_training_run_is_counted():
    game = Game(SearchSpace.of(SMALL, 2), np.zeros(4))
    plan = Plan(population=7, problems=3, generations=5)
    found = game.search(plan)
    assert [seed for _, seeds in game.played for seed in seeds] == list(range(15))
    assert found.training_runs == sum(count * len(seeds) for count, seeds in game.played) == 105


def test_a_search_is_repeatable_and_a_start_near_the_best_schedule_is_kept():
    space = SearchSpace.of(SMALL, 2)
    wanted = np.array([3.0, -1.0, 3.0, -1.0])
    assert Game(space, wanted).search() == Game(space, wanted).search()
    game = Game(space, wanted)
    short = Plan(population=8, problems=1, generations=1)
    near = game.search(short, start=space.schedule(wanted + 0.05), spread=0.05)
    assert game.distance(near.schedule) < 0.15 < game.distance(game.search(short).schedule)


def test_runs_that_diverged_after_a_good_validation_do_not_lead_the_search_away():
    space = SearchSpace.of(SMALL, 1)

    def play(policies, seeds):
        episodes = []
        for policy in policies:
            weight, step = space.vector(policy.schedule)
            diverged = np.full(len(seeds), step > 0)  # and would have the best validation there
            validation = np.full(len(seeds), abs(weight - 1) - step)
            figures = {"best_validation": validation, "diverged": diverged}
            episodes.append(Episodes(figures, np.zeros((1, 2))))
        return episodes

    seeds = np.arange(PLAN.all_problems)
    found = search(space, PLAN, play, seeds, minimize=True, figure="best_validation")
    weight, step = space.vector(found.schedule)
    assert weight == pytest.approx(1, abs=0.2)
    assert -0.5 < step <= 0


def test_a_plan_keeps_to_its_budget_and_saves_on_problems_before_generations():
    for runs in (96, 500, 2_000, 11_520, 50_000):
        plan = Plan.within(runs, size=8)
        assert runs - plan.population * plan.problems < plan.training_runs <= runs
    assert Plan.within(2_000, size=8).problems < Plan.within(50_000, size=8).problems
    with pytest.raises(ValueError, match="95 training runs: expected at least 96"):
        Plan.within(95, size=8)


def test_the_progress_of_a_search_is_that_of_all_its_generations():
    told = []
    report = whole_search(Plan(4, 2, 3), lambda done, total: told.append((done, total)))
    for done in (4, 8, 8, 4, 8):
        report(done, 8)
    assert told == [(4, 24), (8, 24), (16, 24), (20, 24), (24, 24)]


# On a real task

RUNS = 96 * 3


def make_env(num_envs, **more):
    return gymnasium.make_vec(
        "AutoLoss/QuadraticRegression-v1",
        num_envs=num_envs,
        **{"dimension": 4, "num_samples": 20, "max_steps": 20, "validate_every": 5, **more},
    )


def test_a_search_that_was_killed_goes_on_to_the_same_schedule(tmp_path):
    task = make_env(1).task
    alive = find_schedule(task, make_env, knots=2, training_runs=RUNS)
    calls = []

    def dies(num_envs, **more):
        calls.append(num_envs)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return make_env(num_envs, **more)

    with pytest.raises(KeyboardInterrupt):
        find_schedule(task, dies, knots=2, training_runs=RUNS, folder=tmp_path)
    rest = []

    def counted(num_envs, **more):
        rest.append(num_envs)
        return make_env(num_envs, **more)

    resumed = find_schedule(task, counted, knots=2, training_runs=RUNS, folder=tmp_path)
    assert resumed == alive
    assert sum(rest) == RUNS - sum(calls[:2])
    assert isinstance(resumed.schedule, Schedule)
    assert len(resumed.schedule.weights) == 2
