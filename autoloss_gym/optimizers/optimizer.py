"""Optimizers turn the gradients of a block into steps of the runs that are active."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from autoloss_gym.tools.bounds import PositiveFloat
from autoloss_gym.tools.fields import check_fields

OptimizerState = dict[str, Shaped[Tensor, "num_envs ..."]]


@dataclass(frozen=True, kw_only=True)
class Optimizer(ABC):
    """Rule that turns gradients into updates; `learning_rate` is its step size ε."""

    # In errors: those of PyTorch step one model each.
    in_words: ClassVar[str] = "an autoloss_gym Optimizer, such as SGD(learning_rate=0.01)"

    learning_rate: PositiveFloat

    def __post_init__(self) -> None:
        check_fields(self)

    def on(self, sizes: tuple[int, ...]) -> "Optimizer":
        """The optimizer of a block that is packed from tensors of these sizes, in order.

        One that looks at each parameter alone is the same for all blocks.
        """
        return self

    @abstractmethod
    def init(self, parameters: Float[Tensor, "num_envs size"]) -> OptimizerState:
        """State before the first step."""

    @abstractmethod
    def update(
        self,
        parameters: Float[Tensor, "num_envs size"],
        gradients: Float[Tensor, "num_envs size"],
        state: OptimizerState,
        active: Bool[Tensor, " num_envs"],
        step_size: Float[Tensor, " num_envs"],
    ) -> None:
        """One step, in place, of the runs that are `active`.

        The other runs keep parameters, moments and step counts.

        Args:
            parameters: values of one block.
            gradients: the step descends along their negative; finite, also where a run is idle;
                not to be changed, as their numbers may share memory.
            state: result of `init`, which is updated.
            active: runs that take this step.
            step_size: factor on `learning_rate`.
        """
