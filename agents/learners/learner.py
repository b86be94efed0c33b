"""Learners by the names of their algorithms."""

from pathlib import Path
from typing import Protocol

from autoloss_gym.core.task import Task

from ..configuration import TrainingConfiguration
from .group_policy_gradient import GroupLearner
from .learned_optimizer import LearnedOptimizerLearner
from .meta_gradient import MetaGradientLearner
from .reinforce import ReinforceLearner
from .stable_baselines3 import StableBaselines3Learner
from .tensor_ppo import TensorPPOLearner


class Learner(Protocol):
    """Trains a policy; its constructor raises ValueError where algorithm and environment do not
    fit.

    Args:
        task: that of its environment.
    """

    task: Task

    def train(self, folder: Path) -> None:
        """Train, or go on from the checkpoint in `folder`, where weights, TensorBoard events and
        progress.csv are kept.
        """


def make_learner(configuration: TrainingConfiguration) -> Learner:
    """The learner of the configuration's algorithm."""
    if configuration.algo == "group":
        return GroupLearner(configuration)
    if configuration.algo == "learned_optimizer":
        return LearnedOptimizerLearner(configuration)
    if configuration.algo == "meta_gradient":
        return MetaGradientLearner(configuration)
    if configuration.algo == "reinforce":
        return ReinforceLearner(configuration)
    if configuration.algo == "tensor_ppo":
        return TensorPPOLearner(configuration)
    return StableBaselines3Learner(configuration)
