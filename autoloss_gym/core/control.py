"""What an update is told to do, and what it reports."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor


class Factors(NamedTuple):
    """Factors on the gradients of the pairs.

    Args:
        shared: on those by blocks that several pairs move.
        own: on those by blocks that one pair alone moves.
    """

    shared: Float[Tensor, "num_envs pairs"]
    own: Float[Tensor, "num_envs pairs"]


# From the gradients of a step, a `core.step_gradients.StepGradients`, to factors: a tensor
# (num_envs, pairs) for all blocks, or `Factors`.
Reweigh = Callable[[Any], Any]


@dataclass
class Control:
    """What to do next.

    Args:
        weights: factor on each pair's gradient; 0 means that the pair is unused. One-hot is the
            choice of a pair.
        step_size: factor on the optimizer's learning rate.
        choice: each run's pair on the host, where one is chosen and known there. The weights are
            then one-hot, or all 0 for a run that stays as it is; other values are not looked at.
        reweigh: called in the update with what it has measured, a `StepGradients`; what it returns,
            a tensor (num_envs, pairs) or `Factors`, multiplies the weights. No gradient flows
            through it, and a run whose factors are not finite is one that has diverged. Row i must
            follow from run i alone.

    Raises:
        ValueError: both `choice` and `reweigh` are given.
    """

    weights: Float[Tensor, "num_envs pairs"]
    step_size: Float[Tensor, " num_envs"]
    choice: np.ndarray | None = None
    reweigh: Reweigh | None = None

    def __post_init__(self) -> None:
        if self.choice is not None and self.reweigh is not None:
            raise ValueError(
                "Control(choice=…, reweigh=…): expected one of them; where each run has chosen one "
                "pair, there is nothing to weigh"
            )


@dataclass
class Evaluation:
    """Losses and gradient norms ‖∇ℓ‖₂ / √dim at the parameters before an update.

    Only the entries that are `measured` mean anything.
    """

    losses: Float[Tensor, "num_envs pairs"]
    gradient_norms: Float[Tensor, "num_envs pairs"]
    measured: Bool[Tensor, "num_envs pairs"]
