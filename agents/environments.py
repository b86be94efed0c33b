"""Environments as the commands make them, and the numbers of their problems."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium

from autoloss_gym.core.task import Task
from autoloss_gym.environment.vector_env import AutoLossVectorEnv

SEED_SPACING = 1 << 20  # commands with different seeds share no problem
MakeEnv = Callable[..., AutoLossVectorEnv]


def check_data(folder: Path, stored: str, task: Task) -> None:
    """ValueError if the data set is not the one with which the command in a folder began."""
    if stored and stored != task.data_digest:
        raise ValueError(
            f"{str(folder)!r}: the data set is not the one that it began with, its digest was "
            f"{stored} and is {task.data_digest}: put the old data back, or begin anew"
        )


def with_defaults(id: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What an environment is made with: the arguments of its id, and in their place those given.

    Args:
        id: that is registered, possibly "module:id".
        given: arguments of one call of `gymnasium.make_vec`.
    """
    return {**gymnasium.spec(id.rpartition(":")[2]).kwargs, **given}


@dataclass(frozen=True)
class EnvironmentMaker:
    """Makes environments of one id: (num_envs, **arguments) → environment.

    It can be sent to another process.

    Args:
        id: of the environment.
        arguments: of every environment that is made; a call may replace some.
    """

    id: str
    arguments: dict[str, Any]

    def __call__(self, num_envs: int, **more: Any) -> AutoLossVectorEnv:
        envs = gymnasium.make_vec(self.id, num_envs=num_envs, **(self.arguments | more))
        assert isinstance(envs, AutoLossVectorEnv)
        return envs
