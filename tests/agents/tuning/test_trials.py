"""A trial: its training, its scores in between, and what can go wrong."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.numpy

from agents.configuration import TrainingConfiguration
from agents.learners.checkpoints import WEIGHTS
from autoloss_gym.tools.stored import write_arrays

optuna = pytest.importorskip("optuna")

from agents.tuning.confirmation import confirm  # noqa: E402
from agents.tuning.settings import Settings  # noqa: E402
from agents.tuning.trials import Failed, play, scorer, train_quietly  # noqa: E402


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


def train_to_nan(configuration, folder, *_):
    """Trains, with a last update after which no weight is finite."""
    train_quietly(configuration, folder)
    weights = safetensors.numpy.load_file(folder / WEIGHTS)
    broken = {name: np.full_like(values, np.nan) for name, values in weights.items()}
    write_arrays(folder / WEIGHTS, {**broken, "steps": configuration.n_timesteps})


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


def test_a_trial_whose_last_weights_are_not_finite_has_failed(tmp_path, monkeypatch):
    monkeypatch.setattr("agents.tuning.trials.train_quietly", train_to_nan)
    judge = scorer(configuration(), first=0, count=4)
    with pytest.raises(Failed, match=r"policy\.safetensors' cannot be read: .*, expected finite"):
        play(Reports(), configuration(), tmp_path / "0", judge, may_prune=True)


def test_a_score_for_which_there_is_no_memory_is_none_and_a_defect_stays_one(tmp_path, monkeypatch):
    train_quietly(configuration(), tmp_path)
    judge = scorer(configuration(), first=0, count=4)

    def rollout(*_):
        raise RuntimeError(reason)

    monkeypatch.setattr("agents.tuning.trials.rollout", rollout)
    reason = "out of memory"
    with pytest.raises(Failed, match="out of memory"):
        judge.best_scores(tmp_path)
    reason = "shapes differ"
    with pytest.raises(RuntimeError, match="shapes differ"):
        judge.best_scores(tmp_path)


def test_a_confirming_training_that_diverges_ends_in_words(tmp_path):
    """So that the table of the study can be written, also when it is resumed."""
    diverging = replace(configuration(), algo="reinforce", hyperparameters={"learning_rate": 1e30})
    settings = Settings(
        configuration=diverging,
        name="",
        storage="journal",
        trials=1,
        episodes=4,
        confirm_seeds=1,
        pruning=False,
    )
    for _ in "first", "resumed":
        words = confirm(settings, diverging.hyperparameters, tmp_path, minimize=True)
        assert words.startswith("The best settings were not compared with those to begin with: in ")
        assert "nan to nan, expected finite float32" in words


def test_trials_and_their_confirmation_share_no_problem_nor_do_two_seeds():
    first = scorer(configuration(), first=0, count=64).seeds
    second = scorer(configuration(), first=64, count=64).seeds
    assert not set(first) & set(second)
    assert first[0] == 3 << 20
