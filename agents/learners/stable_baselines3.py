"""Training with Stable-Baselines3, and its policies rebuilt from a configuration."""

import contextlib
import copy
import functools
import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import stable_baselines3
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy

from autoloss_gym.adapters.stable_baselines3 import StableBaselines3VecEnv
from autoloss_gym.environment.vector_env import AutoLossVectorEnv

from ..configuration import TrainingConfiguration
from ..environments import SEED_SPACING
from ..progress import show_progress
from .checkpoints import (
    complete_weights,
    fitting,
    load_checkpoint,
    open_logger,
    restore_generators,
    save_checkpoint,
    save_weights,
)
from .hyperparameters import checked_hyperparameters
from .sample_log import SampleLog
from .training_log import Report

# What a training goes on from, besides parameters and generators.
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
    """The class of Stable-Baselines3 with that name in lower case."""
    return getattr(stable_baselines3, algo.upper())


class StableBaselines3Learner:
    """The algorithm of a configuration on its environment; ValueError if they do not fit."""

    def __init__(self, configuration: TrainingConfiguration) -> None:
        self._configuration = configuration
        algorithm = algorithm_class(configuration.algo)
        given = copy.deepcopy(configuration.hyperparameters)  # the algorithm may add to them
        arguments = checked_hyperparameters(algorithm, given)
        envs = gymnasium.make_vec(
            configuration.env, num_envs=configuration.num_envs, **configuration.env_kwargs
        )
        assert isinstance(envs, AutoLossVectorEnv)
        _check_action_space(configuration.algo, envs.single_action_space)
        self._envs = StableBaselines3VecEnv(envs)
        try:
            self._model = algorithm("MlpPolicy", self._envs, seed=configuration.seed, **arguments)
        except Exception as error:  # of a value that is passed on to PyTorch, it may be any
            reason = " ".join(str(error).split())
            raise ValueError(
                f"{configuration.algo} does not accept these hyper-parameters: {reason}"
            ) from error
        self._samples = SampleLog(envs)
        self._envs.seed(configuration.seed * SEED_SPACING)

    def train(self, folder: Path) -> None:
        """Train, or go on from the checkpoint in `folder`, where logs, checkpoints and weights are
        stored.
        """
        configuration = self._configuration
        model = self._model
        checkpoint = load_checkpoint(folder)
        if checkpoint:
            with fitting(folder, configuration.algo, checkpoint):
                self._restore(checkpoint)
        done = model.num_timesteps
        if done >= configuration.n_timesteps:
            complete_weights(model.policy, folder, done)
            return
        # Off-policy algorithms count episodes, and all runs of the batch end together. On-policy
        # ones count rollouts.
        log_interval = configuration.num_envs if isinstance(model, OffPolicyAlgorithm) else 1
        model.set_logger(open_logger(folder, done))
        with contextlib.closing(model.logger), show_progress("steps", lines=10) as progress:
            report = Report(
                stage=f"training {configuration.algo}",
                total=configuration.n_timesteps,
                checkpoint_every=configuration.checkpoint_interval,
                save=functools.partial(self._save, folder),
                samples=self._samples,
                progress=progress,
            )
            model.learn(
                configuration.n_timesteps - done,
                callback=report,
                log_interval=log_interval,
                reset_num_timesteps=not done,
            )
        self._save(folder)

    def _save(self, folder: Path) -> None:
        """Save between two rollouts, where nothing is half done."""
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
        self._samples.save(folder)

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
                setattr(model.replay_buffer, name, _restored(value))
        self._envs.load_state_dict(content["envs"])
        restore_generators(content["generators"])


def build_policy(configuration: TrainingConfiguration, envs: AutoLossVectorEnv) -> BasePolicy:
    """The untrained policy of a configuration, for the spaces of `envs`."""
    policy_class = algorithm_class(configuration.algo).policy_aliases["MlpPolicy"]
    arguments = copy.deepcopy(configuration.hyperparameters.get("policy_kwargs", {}))
    observations = envs.single_observation_space
    actions = envs.single_action_space
    try:
        policy = policy_class(observations, actions, lambda _: 0.0, **arguments)
    except TypeError as error:
        raise ValueError(f"config.json has bad policy_kwargs {arguments} ({error})") from None
    policy.set_training_mode(False)
    return policy


def _check_action_space(algo: str, space: gymnasium.Space) -> None:
    is_discrete = isinstance(space, spaces.Discrete)
    if algo in ("sac", "td3", "ddpg") and is_discrete:
        raise ValueError(
            f"--algo {algo} needs continuous actions, this environment has {space}: "
            "add --env-kwargs control=weights"
        )
    if algo == "dqn" and not is_discrete:
        raise ValueError(
            f"--algo dqn needs discrete actions, this environment has {space}: "
            "leave out control=weights"
        )


def _stored(value: Any) -> Any:
    """Arrays as tensors, which are read back without running code."""
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def _restored(value: Any) -> Any:
    return value.numpy() if isinstance(value, torch.Tensor) else value
