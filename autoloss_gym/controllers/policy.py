"""A policy decides for a whole batch of runs, and its `repr` says all that it does."""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from autoloss_gym.core.task import Control


@runtime_checkable
class Policy(Protocol):
    """A controller of many runs at once.

    Attributes:
        label: its name in tables.
        static: whether it ignores what it observes; the best such policy is the reference of a
            benchmark.
        diagnostics: whether it needs `AutoLossVectorEnv.diagnostics` among the infos of every step.
        env_arguments: arguments that its environment must be made with, such as the features it was
            trained on.
    """

    label: str
    static: bool
    diagnostics: bool
    env_arguments: dict[str, Any]

    def reset(self, seeds: np.ndarray) -> None:
        """Begin an episode in every run.

        Args:
            seeds: (num_envs,), int64; they number the problems, and seed random choices.
        """

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> np.ndarray | Control:
        """Actions of the environment's action space (num_envs, …), or a `Control`.

        Args:
            observations: (num_envs, features), float32.
            infos: the environment's dense infos, see
                `autoloss_gym.environment.infos.running_infos`.
        """
