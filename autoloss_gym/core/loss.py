"""What a loss is: a function of parameters and batch; some give their gradient, or new buffers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Shaped
from torch import Tensor

from autoloss_gym.tools.names import shown
from autoloss_gym.tools.tree import Parameters

Loss = Callable[[Parameters, Any], Any]  # values (num_envs,), of `Buffered` with new buffers
Buffers = Mapping[str, Shaped[Tensor, "..."]]  # each (num_envs, …)
Packed = Mapping[str, Float[Tensor, "num_envs _"]]  # blocks by name
# Where the buffers stand among the parameters that functions of a task are given.
BUFFERS = "buffers"


@dataclass(frozen=True)
class ClosedForm:
    """A loss with its gradient in closed form, which then takes the place of automatic
    differentiation.

    `check_task` compares the two.

    Args:
        loss: (parameters, batch) → (num_envs,).
        value_and_gradient: (parameters, batch) → the same values, and the gradient in the shapes of
            `parameters`, for at least the blocks of the pairs that use this loss.
        packed: the same for blocks that are packed, (num_envs, size), each gradient packed as well;
            for losses that look at each parameter alone, which it spares to take blocks apart and
            to put them together. It then takes the place of `value_and_gradient`.
    """

    loss: Loss
    value_and_gradient: Callable[[Parameters, Any], tuple[Float[Tensor, " num_envs"], Parameters]]
    packed: Callable[[Packed, Any], tuple[Float[Tensor, " num_envs"], Packed]] | None = None

    def __post_init__(self) -> None:
        if not (callable(self.loss) and callable(self.value_and_gradient)):
            given = f"{shown(self.loss)}, {shown(self.value_and_gradient)}"
            raise ValueError(f"ClosedForm({given}): expected two functions")

    def __call__(self, parameters: Parameters, batch: Any) -> Float[Tensor, " num_envs"]:
        return self.loss(parameters, batch)


@dataclass(frozen=True)
class Buffered:
    """A loss that changes buffers, such as the running statistics of a batch normalisation.

    Only runs that the loss updates take the new ones, and `Task.measure` changes none.

    Args:
        loss: (parameters, batch) → (num_envs,), and the buffers that it changes by name, without a
            graph. It finds all of them in `parameters["buffers"]`.
    """

    loss: Callable[[Parameters, Any], tuple[Float[Tensor, " num_envs"], Buffers]]

    def __post_init__(self) -> None:
        if not callable(self.loss):
            raise ValueError(f"Buffered({shown(self.loss)}): expected a function")

    def __call__(
        self, parameters: Parameters, batch: Any
    ) -> tuple[Float[Tensor, " num_envs"], Buffers]:
        return self.loss(parameters, batch)
