"""Policies that `train_agent.py` stored; their weights are read without running code."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.distributions import CategoricalDistribution, DiagGaussianDistribution
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy

from autoloss_gym.controllers.networks.perceptron import Perceptron
from autoloss_gym.controllers.networks.shift_network import ShiftNetwork
from autoloss_gym.controllers.policies.draws import Draws
from autoloss_gym.controls import HoldSchedule
from autoloss_gym.environment.vector_env import AutoLossVectorEnv

from ...configuration import WITH_BASE
from ...environments import with_defaults
from ...learners import reinforce, stable_baselines3
from ...learners.checkpoints import load_weights, weights_digest
from ...learners.groups.base_files import load_base
from ...learners.groups.building import build_shift_network
from ...learners.meta_gradients.building import build_still_network
from ...run_folders import load_configuration

# Arguments that decide what a policy sees and does, and their defaults.
_SEEN_BY_POLICY = {
    "control": "pair",
    "control_arguments": None,
    "features": "scaled",
    "drop": (),
    "add": (),
    "repeat": 1,
}


class TrainedPolicy:
    """A policy in a run folder. Actions are drawn from it, as in training.

    SAC, TD3, DDPG and DQN have no distribution to draw from, and take the mode; a group policy acts
    by its mean.

    Args:
        folder: the run folder.
        env: id of the environment that it is to act in.
        deterministic: take the most probable action instead of drawing one.

    Raises:
        ValueError: it was trained on another environment.
    """

    static = False
    diagnostics = False

    def __init__(self, folder: Path, env: str, deterministic: bool = False) -> None:
        self.configuration = load_configuration(folder)
        self.label = self.configuration.algo
        self.folder = folder
        self._deterministic = deterministic
        if self.configuration.env.rpartition(":")[2] != env.rpartition(":")[2]:
            raise ValueError(
                f"{str(folder)!r} was trained on {self.configuration.env}, not on {env}"
            )

        chosen = with_defaults(self.configuration.env, self.configuration.env_kwargs)
        self.env_arguments = {
            name: chosen.get(name, default) for name, default in _SEEN_BY_POLICY.items()
        }
        if self.configuration.algo in WITH_BASE:
            arguments = dict(self.env_arguments["control_arguments"] or {})
            self.env_arguments["control_arguments"] = {**arguments, "base": load_base(folder)}
        # Known once the weights are loaded: the steps of training behind them, and their digest.
        self.steps = 0
        self._digest = ""
        self._policy: BasePolicy | Perceptron | ShiftNetwork | None = None
        self._moments = np.zeros(0, dtype=np.int64)  # updates before each decision

    def __repr__(self) -> str:
        return f"TrainedPolicy({str(self.folder)!r}, {self._deterministic}, {self._digest})"

    def load(self, envs: AutoLossVectorEnv) -> None:
        """Read the weights; ValueError if there are none, or they do not fit the spaces."""
        if isinstance(envs.control, HoldSchedule):
            self._moments = np.array(envs.control.moments(envs.description))
        if self.configuration.algo == "group":
            self._policy = build_shift_network(self.configuration, envs)
        elif self.configuration.algo == "meta_gradient":
            self._policy = build_still_network(self.configuration, envs)
        elif self.configuration.algo == "reinforce":
            self._policy = reinforce.build_controller(self.configuration, envs)
        else:
            self._policy = stable_baselines3.build_policy(self.configuration, envs)
        self.steps = load_weights(self._policy, self.folder)
        self._digest = weights_digest(self.folder)

    @property
    def digest(self) -> str:
        """Of the weights that were loaded, as `weights_digest` has it; "" before."""
        return self._digest

    def reset(self, seeds: np.ndarray) -> None:
        self._draws = Draws(seeds, f"policy {self.configuration.seed}")

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> np.ndarray:
        assert self._policy is not None
        if isinstance(self._policy, ShiftNetwork):
            decisions = np.searchsorted(self._moments, infos["steps"], side="right") - 1
            chosen = self._policy.act(torch.from_numpy(observations), torch.from_numpy(decisions))
            return chosen.numpy().clip(-1, 1)
        return choose_actions(self._policy, observations, self._draws, self._deterministic)


@torch.no_grad()
def choose_actions(
    policy: BasePolicy | Perceptron,
    observations: np.ndarray,
    draws: Draws,
    deterministic: bool,
) -> np.ndarray:
    """Actions drawn from the policy's distribution, or its mode.

    Args:
        policy: gives a distribution, or its mode alone.
        observations: (num_envs, features).
        draws: the random choices of the runs.
        deterministic: whether to take the mode where there is a distribution, too.

    Returns:
        (num_envs, …), of the policy's action space.
    """
    values = torch.from_numpy(observations)
    if isinstance(policy, Perceptron):
        logits = policy(values)
        # As the categorical distribution of Stable-Baselines3 has it, bit for bit.
        logits = logits - logits.logsumexp(dim=1, keepdim=True)
        probabilities = torch.softmax(logits, dim=1)
        return _categorical(probabilities.numpy(), draws, deterministic)

    if isinstance(policy, ActorCriticPolicy):
        distribution = policy.get_distribution(values)
        if isinstance(distribution, CategoricalDistribution):
            probabilities = distribution.distribution.probs
            return _categorical(probabilities.numpy(), draws, deterministic)
        if isinstance(distribution, DiagGaussianDistribution) and not deterministic:
            mean = distribution.distribution.mean.numpy()
            deviation = distribution.distribution.stddev.numpy()
            actions = mean + deviation * draws.normal(mean.shape[1])
            return np.clip(actions, -1, 1)

    return policy.predict(observations, deterministic=True)[0]


def _categorical(probabilities: np.ndarray, draws: Draws, deterministic: bool) -> np.ndarray:
    if deterministic:
        return probabilities.argmax(axis=1)
    return draws.categorical(probabilities)
