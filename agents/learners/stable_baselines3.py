"""Training with Stable-Baselines3, and its policies rebuilt from a configuration."""

import contextlib
import copy
import functools
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import stable_baselines3
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy

from autoloss_gym.adapters.stable_baselines3 import StableBaselines3VecEnv
from autoloss_gym.environment.vector_env import AutoLossVectorEnv

from ..configuration import VERSION_OF, TrainingConfiguration
from ..environments import SEED_SPACING
from ..progress import show_progress
from . import model_state
from .checkpoints import (
    complete_weights,
    load_checkpoint,
    restore_generators,
    save_checkpoint,
    save_weights,
)
from .hyperparameters import checked_hyperparameters
from .sample_log import SampleLog
from .training_log import Report, open_logger


def algorithm_class(algo: str) -> type[BaseAlgorithm]:
    """The class of Stable-Baselines3 with that name in lower case, or which the algorithm of that
    name is a version of.
    """
    return getattr(stable_baselines3, VERSION_OF.get(algo, algo).upper())


@contextlib.contextmanager
def accepted_by(algo: str) -> Iterator[None]:
    """Make any error about a value that is passed on to PyTorch a ValueError in one line."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{algo} does not accept these hyper-parameters: {reason}") from error


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
        self.task = envs.task
        self._envs = StableBaselines3VecEnv(envs)
        with accepted_by(configuration.algo):
            self._model = algorithm("MlpPolicy", self._envs, seed=configuration.seed, **arguments)
        self._samples = SampleLog(envs)
        self._envs.seed(configuration.seed * SEED_SPACING)

    def train(self, folder: Path) -> None:
        """Train, or go on from the checkpoint in `folder`, where logs, checkpoints and weights are
        stored.
        """
        configuration = self._configuration
        model = self._model
        checkpoint = load_checkpoint(folder, configuration, model_state.form(model, self._envs))
        if checkpoint:
            model_state.restore(model, self._envs, checkpoint)
            restore_generators(checkpoint["generators"])
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
        content = model_state.take(self._model, self._envs)
        save_checkpoint(folder, self._configuration, content)
        save_weights(self._model.policy, folder, self._model.num_timesteps)
        self._samples.save(folder)


def build_policy(configuration: TrainingConfiguration, envs: AutoLossVectorEnv) -> BasePolicy:
    """The untrained policy of a stored configuration, for the spaces of `envs`."""
    try:
        policy = untrained_policy(configuration, envs)
    except TypeError as error:
        given = configuration.hyperparameters["policy_kwargs"]
        raise ValueError(f"config.json has bad policy_kwargs {given} ({error})") from None
    policy.set_training_mode(False)
    return policy


def untrained_policy(configuration: TrainingConfiguration, envs: AutoLossVectorEnv) -> BasePolicy:
    """The `MlpPolicy` of an algorithm, for the spaces of `envs`, with weights drawn from PyTorch's
    generator; any error where it does not accept its `policy_kwargs`.
    """
    policy_class = algorithm_class(configuration.algo).policy_aliases["MlpPolicy"]
    arguments = copy.deepcopy(configuration.hyperparameters.get("policy_kwargs") or {})
    if configuration.algo == "ddpg":
        arguments.setdefault("n_critics", 1)  # as its algorithm does
    observations = envs.single_observation_space
    actions = envs.single_action_space
    return policy_class(observations, actions, lambda _: 0.0, **arguments)


def _check_action_space(algo: str, space: gymnasium.Space) -> None:
    is_discrete = isinstance(space, spaces.Discrete)
    if algo in ("sac", "td3", "ddpg") and is_discrete:
        raise ValueError(
            f"--algo {algo} needs continuous actions, this environment has {space}: "
            "add --env-kwargs control=weights or control=schedule"
        )
    if algo == "dqn" and not is_discrete:
        raise ValueError(
            f"--algo dqn needs discrete actions, this environment has {space}: "
            "leave out control=weights, or with control=schedule or control=step_size give levels, "
            "such as --env-kwargs 'control_arguments={levels: 5}'"
        )
