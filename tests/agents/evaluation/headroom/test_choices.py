"""What is chosen on training problems."""

import numpy as np
import pytest

from agents.evaluation.headroom.choices import best_of, constants, make_choices, portfolio
from agents.evaluation.headroom.player import Player
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from tests.support.toy_tasks import TwoBlocks
from tests.support.two_targets import TwoTargets


def test_the_default_training_is_the_first_constant():
    grid = constants(20, 3)
    assert grid.shape == (21, 1, 3)
    assert not grid[0].any()
    assert (np.abs(grid) <= [4, 4, 2]).all()


def test_a_portfolio_adds_what_the_others_lack():
    # The second constant is nearly as good as the first on the same problems; the third on others.
    scores = np.array([[1.0, 1, 5, 5], [1.1, 1.1, 5, 5], [6, 6, 2, 2]])
    assert portfolio(scores, scores).tolist() == [0, 2, 1]


def test_a_run_is_kept_by_its_validation_and_not_by_its_score():
    figures = {
        "best_score": np.array([[3.0, 3], [1, 1], [2, 2]]),
        "best_validation": np.array([[2.0, 1], [1, 2], [0, 0]]),
        "diverged": np.array([[0, 0], [0, 0], [1, 1]]),
    }
    lowest, highest = TwoBlocks(), TwoBlocks(minimize=False)
    assert highest.score_metrics[0].minimize  # unlike its validation metric
    assert best_of(figures, 1, lowest).tolist() == [3, 3]
    assert best_of(figures, 3, lowest).tolist() == [1, 3]
    assert best_of(figures, 3, highest).tolist() == [3, 1]


class CountingPlayer(Player):
    """Counts the training runs that are played."""

    runs = 0

    def schedules(self, knots, seeds):
        self.runs += len(knots) * len(seeds)
        return super().schedules(knots, seeds)


@pytest.mark.parametrize("budget", [100, 400])
def test_the_known_best_weights_are_found_for_the_stated_number_of_runs(budget):
    def make_env(num_envs):
        return AutoLossVectorEnv(task=TwoTargets(), num_envs=num_envs)

    player = CountingPlayer(make_env)
    chosen = make_choices(player, TwoTargets(), count=20, budget=budget, first_seed=0)
    assert player.runs == chosen.constant_runs + chosen.schedule_runs
    last = chosen.schedule[-1, 0]
    for log_ratio in (chosen.constants[0, 0, 0], last):
        assert 0.4 <= -np.tanh(log_ratio / 2) <= 0.6  # a = w − 1, within the target's width
