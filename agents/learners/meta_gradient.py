"""Meta-gradient descent on a step size and loss weights, over many training problems.

Every meta-step trains a batch of models, differentiates how they end by what is tuned, and goes a
step down. The result is a schedule, the same for all problems (Wang, Yuan, Wu, Ge: "Guarantees for
tuning the step size using a learning-to-learn approach", ICML 2021).
"""

import contextlib
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.logger import Logger

from autoloss_gym.core.state import Keys
from autoloss_gym.environment.instances import Instances
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.tools.arguments import build
from autoloss_gym.tools.forms import Array

from ..configuration import TrainingConfiguration
from ..environments import SEED_SPACING
from ..progress import show_progress
from .checkpoints import (
    COUNT,
    complete_weights,
    load_checkpoint,
    save_checkpoint,
    save_weights,
)
from .groups.base_files import save_base
from .meta_gradients.building import build_still_network
from .meta_gradients.descent import Descent
from .meta_gradients.options import MetaGradientOptions
from .meta_gradients.tuned import Tuned
from .meta_gradients.unrolling import MetaGradient, meta_gradient
from .training_log import open_logger


class MetaGradientLearner:
    """Tunes a schedule; ValueError if the configuration does not fit its environment."""

    def __init__(self, configuration: TrainingConfiguration) -> None:
        self._configuration = configuration
        self._options = build(MetaGradientOptions, configuration.hyperparameters)
        envs = gymnasium.make_vec(configuration.env, num_envs=1, **configuration.env_kwargs)
        assert isinstance(envs, AutoLossVectorEnv)
        self.task = envs.task
        self.network = build_still_network(configuration, envs)
        self._device = envs.device
        self._total_steps = -(-configuration.n_timesteps // configuration.num_envs)
        self._check()
        self._descent = Descent(Tuned(self._options, len(self.task.pairs), self.task.max_steps))
        self._has_said = False

    def train(self, folder: Path) -> None:
        """Train, or go on from the checkpoint in `folder`, where logs, checkpoints, the schedule
        and the weights are stored.
        """
        checkpoint = load_checkpoint(folder, self._configuration, self._form())
        if checkpoint:
            self._restore(checkpoint)
        descent = self._descent
        if descent.steps >= self._total_steps:
            self._save_schedule(folder)
            complete_weights(self.network, folder, self._steps)
            return
        logger = open_logger(folder, self._steps)
        interval = self._configuration.checkpoint_interval
        with contextlib.closing(logger), show_progress("meta-steps", lines=10) as progress:
            while descent.steps < self._total_steps:
                before = self._steps
                found = self._meta_gradient()
                skipped = descent.skipped
                value, norm = descent.step(found)
                self._log(logger, found, value, norm)
                self._say_skipped(descent.skipped - skipped)
                note = f"objective {value:9.4g}"
                progress.update("meta-gradient descent", descent.steps, self._total_steps, note)
                if self._steps // interval > before // interval:
                    self._save(folder)
        self._save(folder)

    def _meta_gradient(self) -> MetaGradient:
        num_envs = self._configuration.num_envs
        numbers = self._descent.numbers.repeat(num_envs, 1)
        return meta_gradient(self.task, self._keys(), numbers, self._options)

    def _keys(self) -> Keys:
        """The problems of a meta-step; no other seed of the command has them."""
        num_envs = self._configuration.num_envs
        kwargs = self._configuration.env_kwargs
        split, num_instances = kwargs.get("split", "train"), kwargs.get("num_instances")
        instances = Instances(split, num_instances, num_envs, self._device)
        first = self._configuration.seed * SEED_SPACING
        if self._options.problems == "new":
            first += self._descent.steps * num_envs
        rows = np.arange(num_envs)
        instances.seed(rows, first + rows)
        return instances.next_episode(rows)

    def _check(self) -> None:
        task, options = self.task, self._options
        if options.loss_weights and not task.shares_blocks:
            raise ValueError(
                f"loss_weights=True: the losses of {type(task).__name__} share no block, so "
                "weights change nothing; leave it out"
            )
        used = self._total_steps * self._configuration.num_envs
        if options.problems == "new" and used > SEED_SPACING:
            raise ValueError(
                f"{self._total_steps:,} meta-steps use {used:,} problems, of which a seed has "
                f"{SEED_SPACING:,}: give a smaller --n-timesteps, or problems=fixed"
            )

    def _log(self, logger: Logger, found: MetaGradient, value: float, norm: float) -> None:
        schedule = self._descent.tuned.schedule(self._descent.numbers)
        logger.record("rollout/objective", value)
        logger.record("rollout/diverged", found.diverged.double().mean().item())
        logger.record("train/gradient_norm", norm)
        logger.record("train/skipped_gradients", self._descent.skipped)
        for knot, step_size in enumerate(schedule.step_size):
            logger.record(f"train/step_size_{knot}", step_size)
        if self._options.loss_weights:
            for knot, weights in enumerate(schedule.weights):
                for pair, weight in zip(self.task.pairs, weights, strict=True):
                    logger.record(f"train/weight_{knot}_{pair.name}", weight)
        logger.dump(self._steps)

    def _say_skipped(self, count: int) -> None:
        if count and not self._has_said:
            self._has_said = True
            print(
                f"{count} of {self._configuration.num_envs} meta-gradients were not finite and "
                "are left out, as all later ones: train/skipped_gradients counts them",
                file=sys.stderr,
            )

    def _save(self, folder: Path) -> None:
        descent = self._descent
        content = {
            "numbers": descent.numbers,
            "moments": descent.moments,
            "steps": descent.steps,
            "skipped": descent.skipped,
        }
        save_checkpoint(folder, self._configuration, content)
        self._save_schedule(folder)
        save_weights(self.network, folder, self._steps)

    def _save_schedule(self, folder: Path) -> None:
        schedule = self._descent.tuned.schedule(self._descent.numbers)
        save_base(folder, schedule, {"meta_gradient": self._steps})

    def _form(self) -> dict[str, Any]:
        """What a checkpoint of this training holds."""
        size = self._descent.tuned.size
        return {
            "numbers": Array("float64", (size,)),
            "moments": Array("float64", (2, size)),
            "steps": COUNT,
            "skipped": COUNT,
        }

    def _restore(self, content: dict[str, Any]) -> None:
        descent = self._descent
        descent.numbers, descent.moments = content["numbers"], content["moments"]
        descent.steps, descent.skipped = content["steps"], content["skipped"]

    @property
    def _steps(self) -> int:
        """Environment steps so far: each is one decision, which is a training run."""
        return self._descent.steps * self._configuration.num_envs
