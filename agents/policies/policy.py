"""The circumstances that policies are built for, and several of them behind one name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from autoloss_gym.controllers.policy import Policy
from autoloss_gym.core.task import Task

if TYPE_CHECKING:
    from .searched import Search


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
