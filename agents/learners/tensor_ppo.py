"""PPO whose rollouts and updates stay on the environment's device."""

import contextlib
import math
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor

from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.tools.forms import Array

from ..configuration import TrainingConfiguration
from ..environments import SEED_SPACING
from ..progress import Progress, show_progress
from .checkpoints import (
    CHECKPOINT,
    COUNT,
    complete_weights,
    environment_form,
    form_of,
    load_checkpoint,
    optimizer_form,
    save_checkpoint,
    save_weights,
    set_optimizer,
)
from .distributions import Gaussian, distribution_of
from .hyperparameters import checked_hyperparameters
from .proximal.episodes import Episodes
from .proximal.options import TensorPPOOptions
from .proximal.rollouts import Collector, Rollout
from .proximal.updates import FIGURES, update
from .sample_log import SampleLog
from .stable_baselines3 import accepted_by, untrained_policy
from .training_log import open_logger, tenths


class _Begun(NamedTuple):
    """When a part of a training began."""

    steps: int  # of the environment, before it
    at: float  # in seconds of the clock


class TensorPPOLearner:
    """Trains the `MlpPolicy` of Stable-Baselines3 by its PPO, rewritten on tensors.

    ValueError if the configuration does not fit its environment. Policy, first weights,
    hyper-parameters and log are those of Stable-Baselines3; the random draws are others.
    """

    def __init__(self, configuration: TrainingConfiguration) -> None:
        self._configuration = configuration
        given = checked_hyperparameters(TensorPPOOptions, configuration.hyperparameters)
        self._options = TensorPPOOptions(**given)
        _check_size(self._options, configuration.num_envs)
        arguments = {**configuration.env_kwargs, "array": "torch"}
        envs = gymnasium.make_vec(configuration.env, num_envs=configuration.num_envs, **arguments)
        assert isinstance(envs, AutoLossVectorEnv)
        self._envs = envs
        self.task = envs.task
        torch.manual_seed(configuration.seed)
        with accepted_by(configuration.algo):
            policy = untrained_policy(configuration, envs)
            assert isinstance(policy, ActorCriticPolicy)
            self.policy = policy.to(envs.device)
            self._adam = torch.optim.Adam(
                policy.parameters(),
                lr=self._options.learning_rate,
                fused=True,
                **policy.optimizer_kwargs,
            )
        self._distribution = distribution_of(policy)
        self._generator = torch.Generator(envs.device).manual_seed(configuration.seed)
        observations, _ = envs.reset(seed=configuration.seed * SEED_SPACING)
        self._collector = Collector(envs, policy, self._distribution, self._generator, observations)
        self._episodes = Episodes(envs.num_envs, envs.device)
        self._latest: deque[tuple[float, float]] = deque(maxlen=self._options.stats_window_size)
        self._samples = SampleLog(envs)
        self._steps = 0
        self._epochs = 0
        self._note = ""  # the most important figures of the latest episodes

    def train(self, folder: Path) -> None:
        """Train, or go on from the checkpoint in `folder`, where logs, checkpoints and weights are
        stored.
        """
        configuration = self._configuration
        checkpoint = load_checkpoint(folder, configuration, self._form())
        if checkpoint:
            self._restore(checkpoint)
        if self._steps >= configuration.n_timesteps:
            complete_weights(self.policy, folder, self._steps)
            return
        logger = open_logger(folder, self._steps)
        with contextlib.closing(logger), show_progress("steps", lines=10) as progress:
            self._train_to_the_end(folder, logger, progress)
        self._save(folder)

    def _train_to_the_end(self, folder: Path, logger: Logger, progress: Progress) -> None:
        total = self._configuration.n_timesteps
        interval = self._configuration.checkpoint_interval
        stage = f"training {self._configuration.algo}"
        begun = _Begun(self._steps, time.perf_counter())
        progress.update(stage, self._steps, total)
        while self._steps < total:
            before = self._steps
            self.advance(logger)
            if tenths(self._steps, total) > tenths(before, total):
                self._samples.record(logger)
            self._log_time(logger, begun)
            logger.dump(self._steps)
            progress.update(stage, self._steps, total, self._note)
            if self._steps // interval > before // interval and self._steps < total:
                self._save(folder)

    def advance(self, logger: Logger) -> Rollout:
        """Play a rollout, make the update by it, and log both."""
        rollout = self._collector.collect(self._options, self._watch)
        self._steps += len(rollout.actions)
        figures, epochs = update(
            self.policy,
            self._distribution,
            self._adam,
            rollout,
            self._orders(len(rollout.actions)),
            self._options,
        )
        self._epochs += epochs
        self._log_update(logger, rollout, figures)
        self._log_episodes(logger)
        return rollout

    def _orders(self, length: int) -> Iterator[Tensor]:
        for _ in range(self._options.n_epochs):
            yield torch.randperm(length, generator=self._generator, device=self._envs.device)

    def _watch(self, rewards: Tensor, ended: Tensor, infos: dict[str, Any], steps: int) -> None:
        self._episodes.add(rewards, ended, infos, steps)
        self._samples.watch(ended[0] if "final_info" in infos else False, steps)

    def _log_update(self, logger: Logger, rollout: Rollout, figures: Tensor) -> None:
        """Log an update by the names of Stable-Baselines3, in one copy to the host."""
        variances = torch.stack([rollout.advantages.var(), rollout.returns.var()])
        *logged, unexplained, whole = torch.cat([figures, variances]).tolist()
        for name, value in zip(FIGURES, logged, strict=True):
            logger.record(f"train/{name}", value)
        explained = 1 - unexplained / whole if whole else math.nan
        logger.record("train/explained_variance", explained)
        if isinstance(self._distribution, Gaussian):
            deviations = self._distribution.log_deviations.exp()
            logger.record("train/std", deviations.mean().item())
        logger.record("train/learning_rate", self._options.learning_rate)
        logger.record("train/clip_range", self._options.clip_range)
        if self._options.clip_range_vf is not None:
            logger.record("train/clip_range_vf", self._options.clip_range_vf)
        logger.record("train/n_updates", self._epochs, exclude="tensorboard")

    def _log_episodes(self, logger: Logger) -> None:
        """Log the episodes that have ended, if any, in one copy to the host."""
        ended = self._episodes.take()
        if ended is None:
            return
        self._latest.extend(zip(ended.returns, ended.lengths, strict=True))
        mean_return, mean_length = np.mean(self._latest, axis=0)
        logger.record("rollout/ep_rew_mean", mean_return)
        logger.record("rollout/ep_len_mean", mean_length)
        for name, value in ended.figures.items():
            logger.record(f"environment/{name}", value)
        pairs = [pair.name for pair in self.task.pairs]
        for name, share in zip(pairs, ended.shares, strict=True):
            logger.record(f"environment/share_of_{name}", share)
        best_score = ended.figures["best_score"]
        self._note = f"best score {best_score:8.4f}  share of {pairs[0]} {ended.shares[0]:.2f}"

    def _log_time(self, logger: Logger, begun: _Begun) -> None:
        elapsed = max(time.perf_counter() - begun.at, 1e-9)
        iterations = (self._steps - begun.steps) // (self._options.n_steps * self._envs.num_envs)
        logger.record("time/iterations", iterations, exclude="tensorboard")
        logger.record("time/fps", int((self._steps - begun.steps) / elapsed))
        logger.record("time/time_elapsed", int(elapsed), exclude="tensorboard")
        logger.record("time/total_timesteps", self._steps, exclude="tensorboard")

    def _save(self, folder: Path) -> None:
        save_checkpoint(folder, self._configuration, self._content())
        save_weights(self.policy, folder, self._steps)
        self._samples.save(folder)

    def _content(self) -> dict[str, Any]:
        return {
            "policy": self.policy.state_dict(),
            "adam": self._adam.state_dict()["state"],
            "steps": self._steps,
            "epochs": self._epochs,
            "observations": self._collector.observations,
            "returns": self._episodes.returns,
            "lengths": self._episodes.lengths,
            "draws": self._generator.get_state(),
            "envs": self._envs.state_dict(),
        }

    def _form(self) -> dict[str, Any]:
        """What a checkpoint of this training holds."""
        content = self._content()
        return {
            **form_of(content),
            "adam": optimizer_form(self._adam),
            "steps": COUNT,
            "epochs": COUNT,
            "lengths": Array.like(content["lengths"], least=0),
            "envs": environment_form(self._envs),
        }

    def _restore(self, content: dict[str, Any]) -> None:
        device = self._envs.device
        try:
            self._generator.set_state(content["draws"])
        except RuntimeError as error:
            raise ValueError(f"{CHECKPOINT}: {error}; delete the file to start over") from None
        self.policy.load_state_dict(content["policy"])
        set_optimizer(self._adam, content["adam"])
        self._steps = content["steps"]
        self._epochs = content["epochs"]
        self._collector.observations = content["observations"].to(device)
        self._episodes.returns = content["returns"].to(device)
        self._episodes.lengths = content["lengths"].to(device)
        self._envs.load_state_dict(content["envs"])


def _check_size(options: TensorPPOOptions, num_envs: int) -> None:
    if options.normalize_advantage and options.n_steps * num_envs == 1:
        raise ValueError(
            "n_steps=1 with one environment: expected at least 2 steps in a rollout, or "
            "normalize_advantage=false"
        )
