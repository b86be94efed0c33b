"""What a loss is: a function of parameters and batch, with its gradient where the author writes
that down too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from autoloss_gym.tools.names import shown
from autoloss_gym.tools.tree import Parameters

Loss = Callable[[Parameters, Any], Float[Tensor, " num_envs"]]


@dataclass(frozen=True)
class ClosedForm:
    """A loss with its gradient in closed form, which then takes the place of automatic
    differentiation.

    `check_task` compares the two.

    Args:
        loss: (parameters, batch) → (num_envs,).
        value_and_gradient: (parameters, batch) → the same values, and the gradient in the shapes of
            `parameters`, for at least the blocks of the pairs that use this loss.
    """

    loss: Loss
    value_and_gradient: Callable[[Parameters, Any], tuple[Float[Tensor, " num_envs"], Parameters]]

    def __post_init__(self) -> None:
        if not (callable(self.loss) and callable(self.value_and_gradient)):
            given = f"{shown(self.loss)}, {shown(self.value_and_gradient)}"
            raise ValueError(f"ClosedForm({given}): expected two functions")

    def __call__(self, parameters: Parameters, batch: Any) -> Float[Tensor, " num_envs"]:
        return self.loss(parameters, batch)
