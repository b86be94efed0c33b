"""A trial: its training, its scores in between, and what can go wrong."""

from types import SimpleNamespace

import numpy as np
import pytest

from agents.configuration import TrainingConfiguration

optuna = pytest.importorskip("optuna")

from agents.tuning.trials import Failed, play, scorer  # noqa: E402


def configuration(**hyperparameters):
    return TrainingConfiguration(
        algo="tensor_ppo",
        env="AutoLoss/QuadraticRegression-v1",
        env_kwargs={"dimension": 4, "num_samples": 20, "max_steps": 10},
        num_envs=4,
        n_timesteps=256,
        seed=3,
        hyperparameters={"n_steps": 8, "batch_size": 32, "n_epochs": 1, **hyperparameters},
    )


class Reports:
    """Stands for a trial of Optuna."""

    def __init__(self, pruned_at=None):
        self.scores = {}
        self._pruned_at = pruned_at

    def report(self, value, step):
        self.scores[step] = value

    def should_prune(self):
        return max(self.scores) == self._pruned_at


def test_a_trial_is_scored_after_each_quarter(tmp_path):
    trial = Reports()
    judge = scorer(configuration(), first=0, count=4)
    score = play(trial, configuration(), tmp_path / "0", judge, may_prune=True)
    assert sorted(trial.scores) == [1, 2, 3]
    assert score == judge.best_scores(tmp_path / "0").mean()


def test_a_trial_ends_where_it_is_pruned(tmp_path):
    trial = Reports(pruned_at=2)
    judge = scorer(configuration(), first=0, count=4)
    with pytest.raises(optuna.TrialPruned):
        play(trial, configuration(), tmp_path / "0", judge, may_prune=True)
    assert sorted(trial.scores) == [1, 2]


def test_settings_that_do_not_fit_are_one_line(tmp_path):
    judge = scorer(configuration(), first=0, count=4)
    with pytest.raises(Failed, match=r"^clip_range=-1\.0: expected a positive finite number"):
        play(Reports(), configuration(clip_range=-1.0), tmp_path / "0", judge, may_prune=True)


def test_a_score_that_is_not_finite_is_none(tmp_path, monkeypatch):
    played = SimpleNamespace(best_scores=np.array([1.0, np.nan]))
    monkeypatch.setattr("agents.tuning.trials.rollout", lambda *_: [played])
    judge = scorer(configuration(), first=0, count=4)
    with pytest.raises(Failed, match="its score is not finite"):
        play(Reports(), configuration(), tmp_path / "0", judge, may_prune=True)


def test_trials_and_their_confirmation_share_no_problem_nor_do_two_seeds():
    first = scorer(configuration(), first=0, count=64).seeds
    second = scorer(configuration(), first=64, count=64).seeds
    assert not set(first) & set(second)
    assert first[0] == 3 << 20
