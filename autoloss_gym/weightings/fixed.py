"""Fixed weights, the usual λ of a penalty."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from autoloss_gym.weightings.boundary.arguments import factors
from autoloss_gym.weightings.measurements import Measurements
from autoloss_gym.weightings.rule import WeightingRule
from autoloss_gym.weightings.scaling import Scale, row
from autoloss_gym.weightings.single import Numbers, Single


@dataclass
class Fixed(WeightingRule):
    """The given weights, at every call.

    Args:
        weights: one for each loss, at least 0.
        scale: None (default) leaves the weights as they are.
        prior, every: see `WeightingRule`.
    """

    reads_losses: ClassVar[bool] = False

    weights: Sequence[float | int]
    _: KW_ONLY
    scale: Scale = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.weights = factors("weights", self.weights)

    def _start(self, losses: Float[Tensor, "num_envs losses"]) -> dict[str, Any]:
        count = losses.shape[1]
        if len(self.weights) != count:
            raise ValueError(f"weights={self.weights}: expected {count} numbers, one for each loss")
        return {}

    def _weigh(
        self, state: dict[str, Any], measured: Measurements
    ) -> Float[Tensor, "num_envs losses"]:
        losses = measured.losses
        return row(tuple(self.weights), losses.device, losses.dtype).expand_as(losses)

    def _weigh_one(self, single: Single) -> Numbers:
        return single.rounded(self.weights)
