"""The threshold rules S1–S3 of the AutoLoss paper."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

from agents.evaluation.rollout import rollout
from agents.policies.threshold_rules import threshold_rule, thresholds
from autoloss_gym.core.task import Control
from autoloss_gym.tasks.supervised.mlp_classification import MLPClassification
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from tests.support.toy_tasks import SMALL, Fragile

# The fit is the second validation metric of the perceptron. (A − B) / B is 1/4 for S1, 1/2 for S2
# and −1/4 for S3, exactly.
MEASURED = {
    "fresh_losses": [2.0, 3.75],
    "fresh_gradient_norms": [4.0, 3.0],
    "fresh_validation": [0.9, 2.5],
}
STALE = {"losses": [8.0, 1.0], "gradient_norms": [1.0, 8.0], "validation": [0.1, 1.0], "steps": 3}
VALUES = {"s1": 0.25, "s2": 0.5, "s3": -0.25}
each_rule = pytest.mark.parametrize("rule", VALUES)


def decide(rule, threshold, runs=1, **changes):
    policy = threshold_rule(rule, threshold, MLPClassification())
    policy.reset(np.arange(runs))
    infos = {
        name: np.array([value] * runs, dtype=np.float32)
        for name, value in (STALE | MEASURED).items()
    }
    return policy.act(np.zeros((runs, 1), np.float32), infos | changes)


@each_rule
def test_a_rule_penalises_where_its_ratio_is_above_the_threshold_and_fits_at_or_below(rule):
    value = VALUES[rule]
    for threshold, penalises in ((value - 0.01, 1), (value, 0), (value + 0.01, 0)):
        control = decide(rule, threshold)
        assert control.choice.tolist() == [penalises]
        assert control.weights.tolist() == [[1 - penalises, penalises]]
        assert control.step_size.tolist() == [1.0]


def test_every_run_is_decided_by_its_own_measurements():
    validation = np.array([[0.9, 2.5], [0.9, 2.0], [0.9, 20.0], [9.0, 1.0]], dtype=np.float32)
    assert decide("s1", 0.2, runs=4, fresh_validation=validation).choice.tolist() == [1, 0, 1, 0]


@each_rule
def test_a_run_that_diverged_is_no_reason_to_penalise(rule):
    broken = {name: np.full((1, 2), np.nan, np.float32) for name in MEASURED}
    assert decide(rule, -100.0, **broken).choice.tolist() == [0]


def choices_by_hand(rule, threshold, task, keys):
    """The rule followed by a loop over the task itself."""
    state, choices = task.reset(keys), []
    for _ in range(task.max_steps):
        measured, validation = task.measure(state), task.validate(state)[0, 0].item()
        (fit, penalty), (fit_norm, penalty_norm) = (
            measured.losses[0].tolist(),
            measured.gradient_norms[0].tolist(),
        )
        ratio = {"s1": validation / fit, "s2": penalty / validation, "s3": penalty_norm / fit_norm}[
            rule
        ] - 1
        choices.append(int(ratio > threshold))
        state, _ = task.update(
            state, Control(weights=torch.eye(2)[choices[-1:]], step_size=torch.ones(1))
        )
    return choices


@pytest.mark.parametrize(("rule", "threshold"), [("s1", 1.5), ("s2", -0.97), ("s3", -0.7)])
def test_a_rule_measures_before_every_step_of_an_episode(rule, threshold):
    task = replace(SMALL, max_steps=40, optimizer=replace(SMALL.optimizer, learning_rate=0.03))
    arguments = {"dimension": 4, "num_samples": 20, "max_steps": 40, "learning_rate": 0.03}

    def make_env(num_envs):
        return gymnasium.make_vec("AutoLoss/QuadraticRegression-v1", num_envs=num_envs, **arguments)

    (episodes,) = rollout([threshold_rule(rule, threshold, task)], make_env, np.array([7]))
    envs = make_env(1)
    assert envs.task == task
    envs.reset(seed=7)
    expected = choices_by_hand(rule, threshold, task, envs._batch.runs.state.keys)
    assert 5 < sum(expected) < 35
    assert episodes.shares[:, 1].tolist() == expected


@each_rule
def test_a_grid_has_at_least_20_increasing_thresholds_over_its_whole_range(rule):
    grid = thresholds(rule)
    assert len(grid) >= 20
    assert (np.diff(grid) > 0).all()
    ratios = grid if rule == "s1" else grid + 1  # A / B
    np.testing.assert_allclose(ratios[[0, -1]], (0.01, 30) if rule == "s1" else (1 / 64, 64))
    np.testing.assert_allclose(ratios[1:] / ratios[:-1], ratios[1] / ratios[0])


@each_rule
def test_a_rule_is_for_two_pairs_whose_fit_is_validated(rule):
    for task, expected in (
        (QuadraticRegression(penalty="split"), f"'{rule}'.* this task has 3 pairs"),
        (
            Fragile(),
            f"'{rule}'.* needs the loss 'safe' among the validation metrics, which are size",
        ),
    ):
        with pytest.raises(ValueError, match=expected) as caught:
            threshold_rule(rule, 0.5, task)
        assert "\n" not in str(caught.value)


def test_a_rule_watches_the_run_and_says_so():
    policy = threshold_rule("s2", 0.125, SMALL)
    assert (policy.label, policy.static, policy.diagnostics) == ("s2:0.125", False, True)
