"""Policies that were trained and stored: weights are safetensors, which run no code when they are
read.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.distributions import CategoricalDistribution, DiagGaussianDistribution
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy

from autoloss_gym.environment.vector_env import AutoLossVectorEnv

from ..learners import reinforce, stable_baselines3
from ..learners.checkpoints import load_weights, weights_digest
from ..run_folders import load_configuration
from .schedules import Draws

# What a policy is trained to see and do, and the defaults.
_SEEN_BY_POLICY = {
    "control": "pair",
    "control_arguments": None,
    "features": "scaled",
    "drop": (),
    "repeat": 1,
}


class TrainedPolicy:
    """A policy that `train_agent.py` stored. Actions are drawn from it, as in training; SAC, TD3,
    DDPG and DQN take the mode.

    Args:
        folder: the run folder.
        env: id of the environment that it is to act in.
        deterministic: take the most probable action instead of drawing one.
    """

    static = False
    diagnostics = False

    def __init__(self, folder: Path, env: str, deterministic: bool = False) -> None:
        self.configuration = load_configuration(folder)
        self.label, self.folder, self._deterministic = (
            self.configuration.algo,
            folder,
            deterministic,
        )
        if self.configuration.env.rpartition(":")[2] != env.rpartition(":")[2]:
            raise ValueError(
                f"{str(folder)!r} was trained on {self.configuration.env}, not on {env}"
            )
        self.env_arguments = {
            n: self.configuration.env_kwargs.get(n, default)
            for n, default in _SEEN_BY_POLICY.items()
        }
        self.steps, self._digest = (
            0,
            "",
        )  # of training behind the weights, and of these, once they are loaded
        self._policy: BasePolicy | reinforce.Controller | None = None

    def __repr__(self) -> str:
        return f"TrainedPolicy({str(self.folder)!r}, {self._deterministic}, {self._digest})"

    def load(self, envs: AutoLossVectorEnv) -> None:
        """Read the weights; ValueError if there are none or they do not fit the environment's
        spaces.
        """
        build = (
            reinforce.build_controller
            if self.configuration.algo == "reinforce"
            else stable_baselines3.build_policy
        )
        self._policy = build(self.configuration, envs)
        self.steps, self._digest = (
            load_weights(self._policy, self.folder),
            weights_digest(self.folder),
        )

    def reset(self, seeds: np.ndarray) -> None:
        self._draws = Draws(seeds, f"policy {self.configuration.seed}")

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> np.ndarray:
        assert self._policy is not None
        return choose_actions(self._policy, observations, self._draws, self._deterministic)


@torch.no_grad()
def choose_actions(
    policy: BasePolicy | reinforce.Controller,
    observations: np.ndarray,
    draws: Draws,
    deterministic: bool,
) -> np.ndarray:
    """Actions (num_envs, …): drawn from the policy's distribution, or its mode; always that where
    it gives no distribution.
    """
    values = torch.from_numpy(observations)
    if isinstance(policy, reinforce.Controller):
        return _drawn(torch.softmax(policy(values), dim=1).numpy(), draws, deterministic)
    if isinstance(policy, ActorCriticPolicy):
        distribution = policy.get_distribution(values)
        if isinstance(distribution, CategoricalDistribution):
            return _drawn(distribution.distribution.probs.numpy(), draws, deterministic)
        if isinstance(distribution, DiagGaussianDistribution) and not deterministic:
            normal = distribution.distribution
            return np.clip(
                normal.mean.numpy() + normal.stddev.numpy() * draws.normal(normal.mean.shape[1]),
                -1,
                1,
            )
    return policy.predict(observations, deterministic=True)[0]


def _drawn(probabilities: np.ndarray, draws: Draws, deterministic: bool) -> np.ndarray:
    return probabilities.argmax(axis=1) if deterministic else draws.categorical(probabilities)
