"""A policy decides for a whole batch of runs, and its `repr` says all that it does."""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from autoloss_gym.core.task import Control


@runtime_checkable
class Policy(Protocol):
    """A controller of many runs at once.

    One that depends on more than its arguments and seeds, such as on a number of draws, has
    `state_dict()` and `load_state_dict(state)` too, so that a `Scheduler` can go on with it.
    """

    @property
    def label(self) -> str:
        """Its name in tables."""

    @property
    def static(self) -> bool:
        """Whether it ignores what it observes; the best such policy is a benchmark's reference."""

    @property
    def diagnostics(self) -> bool:
        """Whether it needs `AutoLossVectorEnv.diagnostics` among the infos of every step."""

    @property
    def env_arguments(self) -> dict[str, Any]:
        """Arguments that its environment must be made with, such as the features that it sees."""

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
