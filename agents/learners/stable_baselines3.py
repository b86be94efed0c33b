"""Training with Stable-Baselines3, and its policies rebuilt from a configuration."""

import contextlib
import copy
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import stable_baselines3
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy

from autoloss_gym.adapters.stable_baselines3 import StableBaselines3VecEnv
from autoloss_gym.environment.vector_env import AutoLossVectorEnv

from ..configuration import TrainingConfiguration, checked_hyperparameters
from ..environments import SEED_SPACING
from .checkpoints import (
    fitting,
    load_checkpoint,
    open_logger,
    restore_generators,
    save_checkpoint,
    save_weights,
)
from .sample_log import SampleLog

# What besides parameters and generators a training of Stable-Baselines3 goes on from.
_COUNTERS = (
    "num_timesteps",
    "_n_updates",
    "_n_calls",
    "_episode_num",
    "_current_progress_remaining",
    "exploration_rate",
)
_REPLAY = (
    "observations",
    "next_observations",
    "actions",
    "rewards",
    "dones",
    "timeouts",
    "pos",
    "full",
)


def algorithm_class(algo: str) -> type[BaseAlgorithm]:
    return getattr(stable_baselines3, algo.upper())


class StableBaselines3Learner:
    """The algorithm of a configuration on its environment; ValueError if they do not fit."""

    def __init__(self, configuration: TrainingConfiguration) -> None:
        self._configuration = configuration
        algorithm = algorithm_class(configuration.algo)
        arguments = checked_hyperparameters(
            algorithm, copy.deepcopy(configuration.hyperparameters)
        )  # it may add to them
        envs = gymnasium.make_vec(
            configuration.env, num_envs=configuration.num_envs, **configuration.env_kwargs
        )
        assert isinstance(envs, AutoLossVectorEnv)
        _check_action_space(configuration.algo, envs.single_action_space)
        self._envs = StableBaselines3VecEnv(envs)
        try:
            self._model = algorithm("MlpPolicy", self._envs, seed=configuration.seed, **arguments)
        except (TypeError, ValueError, AssertionError) as error:
            raise ValueError(
                f"{configuration.algo} does not accept these hyper-parameters: {error}"
            ) from error
        self._envs.seed(configuration.seed * SEED_SPACING)

    def train(self, folder: Path) -> None:
        """Train, or go on from the checkpoint in `folder`, where logs, checkpoints and weights are
        stored.
        """
        configuration, model = self._configuration, self._model
        checkpoint = load_checkpoint(folder)
        if checkpoint:
            with fitting(folder, self._configuration.algo, checkpoint):
                self._restore(checkpoint)
        done = model.num_timesteps
        if done >= configuration.n_timesteps:
            return
        model.set_logger(open_logger(folder, done))
        samples = SampleLog(self._envs.envs)
        report = Report(
            configuration.n_timesteps,
            configuration.checkpoint_interval,
            lambda: self._save(folder),
            samples,
        )
        # Off-policy algorithms count episodes: all runs of the batch end together. On-policy ones
        # count rollouts.
        interval = configuration.num_envs if isinstance(model, OffPolicyAlgorithm) else 1
        with contextlib.closing(model.logger):
            remaining = configuration.n_timesteps - done
            model.learn(
                remaining, callback=report, log_interval=interval, reset_num_timesteps=not done
            )
        self._save(folder)

    def _save(self, folder: Path) -> None:
        """Between two rollouts: nothing is half done then."""
        model = self._model
        _, variables = model._get_torch_save_params()
        content = {
            "algo": self._configuration.algo,
            "parameters": model.get_parameters(),
            "variables": {name: getattr(model, name).detach().clone() for name in variables},
            "counters": {name: getattr(model, name) for name in _COUNTERS if hasattr(model, name)},
            "last_observations": torch.from_numpy(model._last_obs),
            "last_episode_starts": torch.from_numpy(model._last_episode_starts),
            "action_space": json.dumps(model.action_space.np_random.bit_generator.state),
            "envs": self._envs.state_dict(),
        }
        if isinstance(model, OffPolicyAlgorithm):
            buffer = model.replay_buffer
            content["replay_buffer"] = {name: _stored(getattr(buffer, name)) for name in _REPLAY}
        save_checkpoint(folder, content)
        save_weights(model.policy, folder, model.num_timesteps)

    def _restore(self, content: dict[str, Any]) -> None:
        model = self._model
        model.set_parameters(content["parameters"], exact_match=True)
        for name, value in content["variables"].items():
            getattr(model, name).data.copy_(value)
        for name, value in content["counters"].items():
            setattr(model, name, value)
        model._last_obs = content["last_observations"].numpy()
        model._last_episode_starts = content["last_episode_starts"].numpy()
        model.action_space.np_random.bit_generator.state = json.loads(content["action_space"])
        if isinstance(model, OffPolicyAlgorithm):
            for name, value in content["replay_buffer"].items():
                setattr(
                    model.replay_buffer,
                    name,
                    value.numpy() if isinstance(value, torch.Tensor) else value,
                )
        self._envs.load_state_dict(content["envs"])
        restore_generators(content["generators"])


def _stored(value: Any) -> Any:
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def _check_action_space(algo: str, space: gymnasium.Space) -> None:
    discrete = isinstance(space, spaces.Discrete)
    if algo in ("sac", "td3", "ddpg") and discrete:
        raise ValueError(
            f"--algo {algo} needs continuous actions, this environment has {space}: add --env-kwargs control=weights"
        )
    if algo == "dqn" and not discrete:
        raise ValueError(
            f"--algo dqn needs discrete actions, this environment has {space}: leave out control=weights"
        )


class Report(BaseCallback):
    """Logs the environment's figures, prints progress ten times in a training, and saves every so
    many environment steps.

    With the progress, the samples of the first run are logged, where the task makes images.

    It saves when the next rollout begins. The figures are means over the episodes that ended since
    the last dump: `score`, `best_score`, `steps`, `diverged`, `collapsed`, and the share of each
    pair.
    """

    def __init__(
        self, total: int, checkpoint_every: int, save: Callable[[], None], samples: SampleLog
    ) -> None:
        super().__init__()
        self._total, self._checkpoint_every, self._save, self._samples = (
            total,
            checkpoint_every,
            save,
            samples,
        )
        self._started, self._due, self._latest = time.monotonic(), False, ""

    def _on_training_start(self) -> None:
        self._tenths, self._checkpoints = self._reached()
        self._pairs = [pair.name for pair in self.training_env.get_attr("task")[0].pairs]

    def _reached(self) -> tuple[int, int]:
        return 10 * self.num_timesteps // self._total, self.num_timesteps // self._checkpoint_every

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "best_score" in info:
                self._log_episode(info)
        self._samples.watch(ended="best_score" in self.locals["infos"][0])
        before, saved = self._tenths, self._checkpoints
        self._tenths, self._checkpoints = self._reached()
        self._due = self._due or self._checkpoints > saved
        if self._tenths > before:
            elapsed = time.monotonic() - self._started
            done = min(
                100, 100 * self.num_timesteps / self._total
            )  # algorithms finish the rollout in which they reach it
            print(
                f"{done:4.0f} %  {self.num_timesteps:>9,} steps  {elapsed:5.0f} s{self._latest}",
                file=sys.stderr,
            )
            self._samples.record(self.logger)
        return True

    def _on_rollout_start(self) -> None:
        if self._due:
            self._save()
            self._due = False

    def _on_training_end(self) -> None:
        self.logger.dump(self.num_timesteps)

    def _log_episode(self, info: dict[str, Any]) -> None:
        for name in ("score", "best_score", "steps", "diverged", "collapsed"):
            self.logger.record_mean(f"environment/{name}", float(info[name]))
        for name, share in zip(self._pairs, info["pair_shares"], strict=True):
            self.logger.record_mean(f"environment/share_of_{name}", float(share))
        recorded = self.logger.name_to_value
        score, share = (
            recorded["environment/best_score"],
            recorded[f"environment/share_of_{self._pairs[0]}"],
        )
        self._latest = f"  best score {score:8.4f}  share of {self._pairs[0]} {share:.2f}"


def build_policy(configuration: TrainingConfiguration, envs: AutoLossVectorEnv) -> BasePolicy:
    """The untrained policy of a configuration, for the spaces of `envs`."""
    policy_class = algorithm_class(configuration.algo).policy_aliases["MlpPolicy"]
    arguments = copy.deepcopy(configuration.hyperparameters.get("policy_kwargs", {}))
    try:
        policy = policy_class(
            envs.single_observation_space, envs.single_action_space, lambda _: 0.0, **arguments
        )
    except TypeError as error:
        raise ValueError(f"config.json has bad policy_kwargs {arguments} ({error})") from None
    policy.set_training_mode(False)
    return policy
