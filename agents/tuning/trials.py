"""Training with the settings of a trial, and its score on validation problems."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch

from autoloss_gym.tools.memory import is_out_of_memory
from autoloss_gym.tools.names import one_line

from ..configuration import TrainingConfiguration
from ..environments import SEED_SPACING, EnvironmentMaker
from ..evaluation.rollout import rollout
from ..learners.checkpoints import CHECKPOINT
from ..learners.learner import make_learner
from ..learners.watching import watched_by
from ..policies.trained.trained_policy import TrainedPolicy
from ..progress import silently
from ..run_folders import save_configuration

PARTS = 4  # a trial is scored after each of them
_LONGEST = 300  # characters of a reason


class Failed(Exception):
    """A training has no score; its message says why, in one line."""


@dataclass(frozen=True)
class Scorer:
    """Plays trained policies on validation problems.

    Args:
        env: id of the environment.
        env_kwargs: its arguments.
        seeds: of the problems.
    """

    env: str
    env_kwargs: dict[str, Any]
    seeds: np.ndarray

    def best_scores(self, folder: Path) -> np.ndarray:
        """The `best_score` of the policy in a run folder on each problem.

        Raises:
            Failed: one is not finite, or the weights are not.
        """
        make_env = EnvironmentMaker(self.env, {**self.env_kwargs, "split": "validation"})
        # What a policy is built with is drawn from a generator from which the training goes on.
        with torch.random.fork_rng(devices=[]), _failing():
            policy = TrainedPolicy(folder, self.env)
            policy.load(make_env(num_envs=1, **policy.env_arguments))
            [played] = rollout([policy], make_env, self.seeds)
        scores = played.best_scores
        if not np.isfinite(scores).all():
            raise Failed("its score is not finite")
        return scores


def scorer(configuration: TrainingConfiguration, first: int, count: int) -> Scorer:
    """One for validation problems number `first` to `first + count - 1` of the study's seed."""
    seeds = configuration.seed * SEED_SPACING + first + np.arange(count, dtype=np.int64)
    return Scorer(configuration.env, configuration.env_kwargs, seeds)


@contextlib.contextmanager
def _failing() -> Iterator[None]:
    """Make what settings can cause `Failed`, so that it ends a trial and not the study."""
    try:
        yield
    except (ValueError, FloatingPointError) as error:
        raise Failed(one_line(str(error), _LONGEST)) from None
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise Failed(one_line(f"out of memory: {error}", _LONGEST)) from None


def train_quietly(
    configuration: TrainingConfiguration,
    folder: Path,
    watcher: Callable[[int], None] = lambda steps: None,
) -> None:
    """Train in a folder, or go on there.

    Args:
        configuration: of the training.
        folder: which is made where there is none.
        watcher: called with the environment steps behind the weights that were just saved.

    Raises:
        Failed: the settings do not fit, or the training has diverged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_configuration(folder, configuration)
    with _failing(), silently(), watched_by(watcher):
        make_learner(configuration).train(folder)


def play(
    trial: optuna.Trial,
    configuration: TrainingConfiguration,
    folder: Path,
    scorer: Scorer,
    may_prune: bool,
) -> float:
    """Train by the settings of a trial; its mean `best_score`.

    Args:
        trial: told the scores in between.
        configuration: of its training.
        folder: for its training.
        scorer: plays its policy.
        may_prune: whether it may end early.

    Raises:
        Failed: it has no score.
        optuna.TrialPruned: it is not worth the rest.
    """
    interval = -(-configuration.n_timesteps // PARTS)
    scored = 0

    def watch(steps: int) -> None:
        nonlocal scored
        part = steps // interval
        if part <= scored or steps >= configuration.n_timesteps:
            return
        scored = part
        trial.report(float(scorer.best_scores(folder).mean()), part)
        if may_prune and trial.should_prune():
            raise optuna.TrialPruned

    shutil.rmtree(folder, ignore_errors=True)  # of a trial of this number that is not recorded
    try:
        train_quietly(replace(configuration, checkpoint_every=interval), folder, watch)
        return float(scorer.best_scores(folder).mean())
    finally:
        # Nothing goes on from it, and that of a replay buffer is large.
        (folder / CHECKPOINT).unlink(missing_ok=True)
