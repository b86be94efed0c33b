"""Training of a learned optimizer: a small network that takes the steps of other trainings.

Its meta-loss is the mean of the losses after each of its updates, on the training or on the
validation part of many problems ("train-by-train" and "train-by-validation" in Wang, Yuan, Wu, Ge:
"Guarantees for tuning the step size using a learning-to-learn approach", ICML 2021). What is
learned stands in optimizer.safetensors, and any task takes it as `optimizer=learned:FILE`.
"""

import contextlib
from pathlib import Path
from typing import Any

import gymnasium
import torch
from stable_baselines3.common.logger import Logger

from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.task import Task
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.optimizers.learned_files import write_weights
from autoloss_gym.tools import tree
from autoloss_gym.tools.arguments import build
from autoloss_gym.tools.forms import Whole

from ..configuration import MOST_STEPS, TrainingConfiguration
from ..progress import Progress, show_progress
from .checkpoints import (
    COUNT,
    form_of,
    load_checkpoint,
    optimizer_form,
    save_checkpoint,
    set_optimizer,
)
from .learned_optimizers.meta_training import MetaTraining
from .learned_optimizers.options import LearnedOptimizerOptions
from .training_log import open_logger

FILE = "optimizer.safetensors"


class LearnedOptimizerLearner:
    """Trains a learned optimizer; ValueError if the configuration does not fit its environment."""

    def __init__(self, configuration: TrainingConfiguration) -> None:
        self._configuration = configuration
        if "optimizer" in configuration.env_kwargs:
            raise ValueError(
                "--algo learned_optimizer learns the optimizer: leave out optimizer; weights to "
                "begin with are given by -P start=FILE"
            )
        if configuration.env_kwargs.get("num_instances") is not None:
            raise ValueError(
                "--algo learned_optimizer learns on ever new problems: leave out num_instances"
            )
        options = build(LearnedOptimizerOptions, configuration.hyperparameters)
        envs = gymnasium.make_vec(configuration.env, num_envs=1, **configuration.env_kwargs)
        assert isinstance(envs, AutoLossVectorEnv)
        task = envs.task
        if not isinstance(task, GradientTask):
            raise ValueError(
                f"--algo learned_optimizer: {type(task).__name__} takes its steps itself; expected "
                "a task with an optimizer"
            )
        self.task: Task = task
        self.training = MetaTraining(
            task, options, configuration.num_envs, configuration.seed, envs.device
        )
        self._steps_per_iteration = configuration.num_envs * options.unroll
        self._total = -(-configuration.n_timesteps // self._steps_per_iteration)

    def train(self, folder: Path) -> None:
        """Train, or go on from the checkpoint in `folder`, where logs, checkpoints and the weights
        are stored.
        """
        checkpoint = load_checkpoint(folder, self._configuration, self._form())
        if checkpoint:
            self._restore(checkpoint)
        if self.training.iterations >= self._total:
            self._write(folder)
            return
        logger = open_logger(folder, self._steps)
        with contextlib.closing(logger), show_progress("meta-steps", lines=10) as progress:
            self._train_to_the_end(folder, logger, progress)
        self._save(folder)

    def _train_to_the_end(self, folder: Path, logger: Logger, progress: Progress) -> None:
        interval = self._configuration.checkpoint_interval
        while self.training.iterations < self._total:
            before = self._steps
            figures = self.training.iterate()
            for name, value in figures.items():
                logger.record(f"train/{name}", value)
            logger.dump(self._steps)
            note = f"meta-loss {figures['meta_loss']:9.4g}"
            progress.update("learning an optimizer", self.training.iterations, self._total, note)
            if self._steps // interval > before // interval:
                self._save(folder)

    def _save(self, folder: Path) -> None:
        runs = self.training.runs
        content = {
            "weights": self.training.weights.state_dict(),
            "meta_optimizer": self.training.meta_optimizer.state_dict()["state"],
            "iterations": self.training.iterations,
            "runs": tree.leaves(runs.state),
            "first_losses": runs.first_losses,
            "ages": runs.ages,
            "episodes": runs.episodes,
        }
        save_checkpoint(folder, self._configuration, content)
        self._write(folder)

    def _write(self, folder: Path) -> None:
        write_weights(folder / FILE, self.training.weights.stored())

    def _form(self) -> dict[str, Any]:
        """What a checkpoint of this training holds; a run that diverged may have any numbers."""
        training = self.training
        ages = [Whole(0, training.options.horizon)] * len(training.runs.ages)
        return {
            "weights": form_of(training.weights.state_dict()),
            "meta_optimizer": optimizer_form(training.meta_optimizer),
            "iterations": COUNT,
            "runs": form_of(tree.leaves(training.runs.state), finite=False),
            "first_losses": form_of(training.runs.first_losses, finite=False),
            "ages": ages,
            "episodes": [Whole(0, MOST_STEPS)] * len(ages),
        }

    def _restore(self, content: dict[str, Any]) -> None:
        training = self.training
        training.weights.load_state_dict(content["weights"])
        set_optimizer(training.meta_optimizer, content["meta_optimizer"])
        training.iterations = content["iterations"]
        with torch.no_grad():
            for leaf, stored in zip(tree.leaves(training.runs.state), content["runs"], strict=True):
                leaf.copy_(stored)
            training.runs.first_losses.copy_(content["first_losses"])
        training.runs.ages = content["ages"]
        training.runs.episodes = content["episodes"]

    @property
    def _steps(self) -> int:
        """Updates of all runs so far."""
        return self.training.iterations * self._steps_per_iteration
