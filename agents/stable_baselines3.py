"""Training with Stable-Baselines3, and its policies in benchmarks; weights are stored as safetensors, which run no code."""

import copy
import os
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import stable_baselines3
import torch
from gymnasium import spaces
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.distributions import CategoricalDistribution
from stable_baselines3.common.logger import configure
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy

from agents.configuration import TrainingConfiguration, checked_hyperparameters, load_configuration
from agents.rollout import SEED_SPACING
from agents.schedules import Draws
from autoloss_gym.adapters.stable_baselines3 import StableBaselines3VecEnv
from autoloss_gym.vector_env import AutoLossVectorEnv

WEIGHTS = "policy.safetensors"
_SEEN_BY_POLICY = {"control": "pair", "control_arguments": None, "features": "scaled", "drop": ()}  # and the defaults


def algorithm_class(algo: str) -> type[BaseAlgorithm]:
    return getattr(stable_baselines3, algo.upper())


def make_model(configuration: TrainingConfiguration) -> BaseAlgorithm:
    """The algorithm on its environment; ValueError if they do not fit."""
    algorithm = algorithm_class(configuration.algo)
    arguments = checked_hyperparameters(algorithm, copy.deepcopy(configuration.hyperparameters))  # it may add to them
    envs = gymnasium.make_vec(configuration.env, num_envs=configuration.num_envs, **configuration.env_kwargs)
    assert isinstance(envs, AutoLossVectorEnv)
    _check_action_space(configuration.algo, envs.single_action_space)
    try:
        model = algorithm("MlpPolicy", StableBaselines3VecEnv(envs), seed=configuration.seed, **arguments)
    except (TypeError, ValueError, AssertionError) as error:
        raise ValueError(f"{configuration.algo} does not accept these hyper-parameters: {error}") from error
    model.env.seed(configuration.seed * SEED_SPACING)  # type: ignore[union-attr]
    return model


def train_model(model: BaseAlgorithm, configuration: TrainingConfiguration, folder: Path) -> None:
    """Train, logging to TensorBoard and CSV in `folder`, where the weights are stored too."""
    model.set_logger(configure(str(folder), ["tensorboard", "csv"]))
    report = Report(configuration.n_timesteps, folder)
    # Off-policy algorithms count episodes: all runs of the batch end together. On-policy ones count rollouts.
    interval = configuration.num_envs if isinstance(model, OffPolicyAlgorithm) else 1
    model.learn(configuration.n_timesteps, callback=report, log_interval=interval)
    save_weights(model, folder)


def _check_action_space(algo: str, space: gymnasium.Space) -> None:
    discrete = isinstance(space, spaces.Discrete)
    if algo in ("sac", "td3", "ddpg") and discrete:
        raise ValueError(
            f"--algo {algo} needs continuous actions, this environment has {space}: add --env-kwargs control=weights"
        )
    if algo == "dqn" and not discrete:
        raise ValueError(f"--algo dqn needs discrete actions, this environment has {space}: leave out control=weights")


class Report(BaseCallback):
    """Logs the environment's figures, prints progress, and stores the weights ten times in a training.

    The figures are means over the episodes that ended since the last dump: `score`, `best_score`, `steps`, `diverged`, and
    the share of each pair.
    """

    def __init__(self, total: int, folder: Path) -> None:
        super().__init__()
        self._total, self._folder, self._started = total, folder, time.monotonic()
        self._next, self._latest = 0.1, ""

    def _on_training_start(self) -> None:
        self._pairs = [pair.name for pair in self.training_env.get_attr("task")[0].pairs]

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "best_score" in info:
                self._log_episode(info)
        if self.num_timesteps >= self._next * self._total:
            self._next = (10 * self.num_timesteps // self._total + 1) / 10
            save_weights(self.model, self._folder)
            elapsed = time.monotonic() - self._started
            done = min(100, 100 * self.num_timesteps / self._total)  # algorithms finish the rollout in which they reach it
            print(f"{done:4.0f} %  {self.num_timesteps:>9,} steps  {elapsed:5.0f} s{self._latest}", file=sys.stderr)
        return True

    def _on_training_end(self) -> None:
        self.logger.dump(self.num_timesteps)

    def _log_episode(self, info: dict[str, Any]) -> None:
        for name in ("score", "best_score", "steps", "diverged"):
            self.logger.record_mean(f"environment/{name}", float(info[name]))
        for name, share in zip(self._pairs, info["pair_shares"], strict=True):
            self.logger.record_mean(f"environment/share_of_{name}", float(share))
        recorded = self.logger.name_to_value
        score, share = recorded["environment/best_score"], recorded[f"environment/share_of_{self._pairs[0]}"]
        self._latest = f"  best score {score:8.4f}  share of {self._pairs[0]} {share:.2f}"


def save_weights(model: BaseAlgorithm, folder: Path) -> None:
    """Store the policy's weights, atomically."""
    temporary = folder / f".{WEIGHTS}.tmp"
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in model.policy.state_dict().items()}
    save_file(tensors, temporary)
    os.replace(temporary, folder / WEIGHTS)


class TrainedPolicy:
    """A policy that `train_agent.py` stored. Discrete actions are drawn from it, as in training; others are its mode.

    Args:
        folder: the run folder.
        env: id of the environment that it is to act in.
        deterministic: take the most probable action instead of drawing one.
    """

    static = False

    def __init__(self, folder: Path, env: str, deterministic: bool = False) -> None:
        self.configuration = load_configuration(folder)
        self.label, self.folder, self._deterministic = self.configuration.algo, folder, deterministic
        if self.configuration.env.rpartition(":")[2] != env.rpartition(":")[2]:
            raise ValueError(f"{str(folder)!r} was trained on {self.configuration.env}, not on {env}")
        self.env_arguments = {n: self.configuration.env_kwargs.get(n, default) for n, default in _SEEN_BY_POLICY.items()}
        self._policy: BasePolicy | None = None

    def load(self, envs: AutoLossVectorEnv) -> None:
        """Read the weights; ValueError if there are none or they do not fit the environment's spaces."""
        policy_class = algorithm_class(self.configuration.algo).policy_aliases["MlpPolicy"]
        arguments = copy.deepcopy(self.configuration.hyperparameters.get("policy_kwargs", {}))
        spaces_ = envs.single_observation_space, envs.single_action_space
        try:
            policy = policy_class(*spaces_, lambda _: 0.0, **arguments)
        except TypeError as error:
            raise ValueError(f"{str(self.folder / 'config.json')!r}: bad policy_kwargs {arguments} ({error})") from None
        path = self.folder / WEIGHTS
        if not path.is_file():
            raise ValueError(f"{str(self.folder)!r} holds no {WEIGHTS}: its training was stopped before the first save")
        try:
            policy.load_state_dict(load_file(path))
        except (SafetensorError, RuntimeError) as error:
            raise ValueError(f"{str(path)!r} does not fit this environment: {' '.join(str(error).split())}") from None
        policy.set_training_mode(False)
        self._policy = policy

    def reset(self, seeds: np.ndarray) -> None:
        self._draws = Draws(seeds, f"policy {self.configuration.seed}")

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> np.ndarray:
        assert self._policy is not None
        if self._deterministic or not isinstance(self._policy, ActorCriticPolicy):
            return self._policy.predict(observations, deterministic=True)[0]
        with torch.no_grad():
            distribution = self._policy.get_distribution(torch.from_numpy(observations))
        if not isinstance(distribution, CategoricalDistribution):
            return self._policy.predict(observations, deterministic=True)[0]
        return self._draws.categorical(distribution.distribution.probs.numpy())
