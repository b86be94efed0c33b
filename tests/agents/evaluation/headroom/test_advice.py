"""Recommendations on tasks whose best training is known."""

import json

import numpy as np
import pytest

from agents.evaluation.headroom.advice import advise
from agents.evaluation.headroom.measure import Sizes, measure, moments_of, shifts
from agents.evaluation.headroom.player import Player
from agents.evaluation.reports.headroom_report import save_report, text_table
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from tests.support.two_targets import TwoTargets

SIZES = Sizes(episodes=24, constants=10, budget=100, moments=(0.25, 0.5))


def measured(task):
    def make_player(split, stage):
        return Player(lambda num_envs: AutoLossVectorEnv(task=task, num_envs=num_envs, split=split))

    return measure(task, make_player, SIZES)


@pytest.fixture(scope="module")
def one_target():
    return measured(TwoTargets(target=0.5))


@pytest.fixture(scope="module")
def either_target():
    return measured(TwoTargets(target=0.8, either=True))


def test_one_target_for_all_needs_a_constant(one_target):
    advice = advise(one_target)
    assert advice.choice == "constant"
    # The default training ends at 0, at a distance of 0.4 to the target's reach.
    (constant,) = advice.of("constant")
    assert constant.gain.value == pytest.approx(0.16, abs=0.01)
    assert not any(gain.gain.value > 0 for gain in advice.of("rule") + advice.of("search"))


def test_targets_that_the_losses_show_need_a_controller(either_target):
    advice = advise(either_target)
    assert advice.choice == "controller"
    # No constant suits both targets: at best it leaves (0.8 − 0.1)², and the shifts leave nothing.
    assert either_target.constant.mean() == pytest.approx(0.49, abs=0.1)
    rule, bound = advice.of("rule")[0], advice.of("bound")[0]
    assert bound.gain.value == pytest.approx(either_target.reactions[0].blind.mean(), abs=0.01)
    assert rule.gain.value == pytest.approx(either_target.best_blind.mean(), abs=0.05)
    assert rule.runs_each == 1
    assert bound.runs_each is None


def test_a_clairvoyant_is_never_worse_than_any_rule(either_target):
    for each in either_target.reactions:
        for scores in (each.fitted, each.blind, each.tried, either_target.schedule):
            assert (each.clairvoyant <= scores).all()


def test_gains_and_intervals_are_those_of_the_paired_differences(either_target):
    gain = advise(either_target).of("constant")[0]
    differences = either_target.default - either_target.constant
    assert gain.gain.value == pytest.approx(differences.mean())
    assert gain.gain.low <= gain.gain.value <= gain.gain.high
    assert gain.share == pytest.approx(differences.mean() / either_target.default.mean())
    assert gain.count == 24


def test_shifts_are_a_grid_for_two_pairs_and_one_at_a_time_for_more():
    assert shifts(1).shape == (3, 1)
    assert shifts(2).shape == (15, 2)
    assert shifts(3).shape == (11, 3)
    for columns in (1, 2, 3):
        assert not shifts(columns)[0].any()
        assert len(np.unique(shifts(columns), axis=0)) == len(shifts(columns))


def test_moments_fall_on_validations():
    assert moments_of(TwoTargets(), (0.01, 0.5, 0.99)) == (2, 4, 6)
    assert moments_of(TwoTargets(max_steps=100), (0.2, 0.54)) == (20, 54)
    with pytest.raises(ValueError, match=r"--moments 0\.2 0\.21: expected ascending shares"):
        moments_of(TwoTargets(), (0.2, 0.21))


def test_the_report_ends_with_the_recommendation_and_keeps_every_problem(either_target, tmp_path):
    advice = advise(either_target)
    last = text_table(either_target, advice).splitlines()[-1]
    assert last == f"Recommendation: {advice.sentence}."
    paths = save_report(either_target, advice, "title", tmp_path, {"episodes": 24})
    assert [path.name for path in paths] == [
        "table.txt",
        "table.md",
        "results.json",
        "figure.png",
    ]
    kept = json.loads((tmp_path / "results.json").read_text())
    assert kept["choice"] == "controller"
    assert len(kept["rows"]) == len(advice.gains)
    assert len(kept["reactions"][0]["fitted"]) == 24
    weights = np.array(kept["constant"]["weights"])
    np.testing.assert_allclose(weights.sum(axis=1), 2)
