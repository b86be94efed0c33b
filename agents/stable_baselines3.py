"""Training with Stable-Baselines3, and its policies rebuilt from a configuration."""

import copy
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import stable_baselines3
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy

from agents.configuration import TrainingConfiguration, checked_hyperparameters
from agents.rollout import SEED_SPACING
from agents.storage import save_weights
from autoloss_gym.adapters.stable_baselines3 import StableBaselines3VecEnv
from autoloss_gym.vector_env import AutoLossVectorEnv


def algorithm_class(algo: str) -> type[BaseAlgorithm]:
    return getattr(stable_baselines3, algo.upper())


class StableBaselines3Learner:
    """The algorithm of a configuration on its environment; ValueError if they do not fit."""

    def __init__(self, configuration: TrainingConfiguration) -> None:
        self._configuration = configuration
        algorithm = algorithm_class(configuration.algo)
        arguments = checked_hyperparameters(algorithm, copy.deepcopy(configuration.hyperparameters))  # it may add to them
        envs = gymnasium.make_vec(configuration.env, num_envs=configuration.num_envs, **configuration.env_kwargs)
        assert isinstance(envs, AutoLossVectorEnv)
        _check_action_space(configuration.algo, envs.single_action_space)
        adapted = StableBaselines3VecEnv(envs)
        try:
            self._model = algorithm("MlpPolicy", adapted, seed=configuration.seed, **arguments)
        except (TypeError, ValueError, AssertionError) as error:
            raise ValueError(f"{configuration.algo} does not accept these hyper-parameters: {error}") from error
        adapted.seed(configuration.seed * SEED_SPACING)

    def train(self, folder: Path) -> None:
        """Train, logging to TensorBoard and CSV in `folder`, where the weights are stored too."""
        configuration, model = self._configuration, self._model
        model.set_logger(configure(str(folder), ["tensorboard", "csv"]))
        report = Report(configuration.n_timesteps, folder)
        # Off-policy algorithms count episodes: all runs of the batch end together. On-policy ones count rollouts.
        interval = configuration.num_envs if isinstance(model, OffPolicyAlgorithm) else 1
        model.learn(configuration.n_timesteps, callback=report, log_interval=interval)
        save_weights(model.policy, folder, model.num_timesteps)
        model.logger.close()


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
            save_weights(self.model.policy, self._folder, self.num_timesteps)
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


def build_policy(configuration: TrainingConfiguration, envs: AutoLossVectorEnv) -> BasePolicy:
    """The untrained policy of a configuration, for the spaces of `envs`."""
    policy_class = algorithm_class(configuration.algo).policy_aliases["MlpPolicy"]
    arguments = copy.deepcopy(configuration.hyperparameters.get("policy_kwargs", {}))
    try:
        policy = policy_class(envs.single_observation_space, envs.single_action_space, lambda _: 0.0, **arguments)
    except TypeError as error:
        raise ValueError(f"config.json has bad policy_kwargs {arguments} ({error})") from None
    policy.set_training_mode(False)
    return policy
