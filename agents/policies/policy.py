"""A policy decides for a whole batch of runs, and its `repr` says all that it does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from autoloss_gym.core.task import Control, Task

if TYPE_CHECKING:
    from .searched import Search


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


@dataclass(frozen=True)
class Setting:
    """The circumstances that policies are built for.

    Args:
        task: the task whose training they steer.
        env: id of its environment.
        deterministic: whether trained policies take their most probable action.
    """

    task: Task
    env: str = ""
    deterministic: bool = False


@dataclass(frozen=True)
class Candidates:
    """Several policies behind one name on the command line.

    Args:
        policies: policies of one training seed each ("seeds"), or to choose from: once on
            validation problems ("tuned"), or for each problem by its own validation metric
            ("each").
        mode: the relation of the policies.
        search: what finds the policies, of which there are then none yet.
        label: name in tables; default: the text of the command line.
    """

    policies: Sequence[Policy]
    mode: Literal["seeds", "tuned", "each"] = "seeds"
    search: "Search | None" = None
    label: str | None = None
