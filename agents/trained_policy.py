"""Policies that were trained and stored: weights are safetensors, which run no code when they are read."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.distributions import CategoricalDistribution
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy

from agents import reinforce, stable_baselines3
from agents.configuration import load_configuration
from agents.schedules import Draws
from agents.storage import load_weights, weights_digest
from autoloss_gym.vector_env import AutoLossVectorEnv

# What a policy is trained to see and do, and the defaults.
_SEEN_BY_POLICY = {"control": "pair", "control_arguments": None, "features": "scaled", "drop": (), "repeat": 1}


class TrainedPolicy:
    """A policy that `train_agent.py` stored. Discrete actions are drawn from it, as in training; others are its mode.

    Args:
        folder: the run folder.
        env: id of the environment that it is to act in.
        deterministic: take the most probable action instead of drawing one.
    """

    static = False
    diagnostics = False

    def __init__(self, folder: Path, env: str, deterministic: bool = False) -> None:
        self.configuration = load_configuration(folder)
        self.label, self.folder, self._deterministic = self.configuration.algo, folder, deterministic
        if self.configuration.env.rpartition(":")[2] != env.rpartition(":")[2]:
            raise ValueError(f"{str(folder)!r} was trained on {self.configuration.env}, not on {env}")
        self.env_arguments = {n: self.configuration.env_kwargs.get(n, default) for n, default in _SEEN_BY_POLICY.items()}
        self.steps, self._digest = 0, ""  # of training behind the weights, and of these, once they are loaded
        self._policy: BasePolicy | reinforce.Controller | None = None

    def __repr__(self) -> str:
        return f"TrainedPolicy({str(self.folder)!r}, {self._deterministic}, {self._digest})"

    def load(self, envs: AutoLossVectorEnv) -> None:
        """Read the weights; ValueError if there are none or they do not fit the environment's spaces."""
        build = reinforce.build_controller if self.configuration.algo == "reinforce" else stable_baselines3.build_policy
        self._policy = build(self.configuration, envs)
        self.steps, self._digest = load_weights(self._policy, self.folder), weights_digest(self.folder)

    def reset(self, seeds: np.ndarray) -> None:
        self._draws = Draws(seeds, f"policy {self.configuration.seed}")

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> np.ndarray:
        assert self._policy is not None
        probabilities = action_probabilities(self._policy, observations)
        if probabilities is None:
            assert isinstance(self._policy, BasePolicy)
            return self._policy.predict(observations, deterministic=True)[0]
        return probabilities.argmax(axis=1) if self._deterministic else self._draws.categorical(probabilities)


@torch.no_grad()
def action_probabilities(policy: BasePolicy | reinforce.Controller, observations: np.ndarray) -> np.ndarray | None:
    """Probability of every discrete action (num_envs, actions); None where the policy does not give any."""
    values = torch.from_numpy(observations)
    if isinstance(policy, reinforce.Controller):
        return torch.softmax(policy(values), dim=1).numpy()
    if not isinstance(policy, ActorCriticPolicy):
        return None
    distribution = policy.get_distribution(values)
    return distribution.distribution.probs.numpy() if isinstance(distribution, CategoricalDistribution) else None
