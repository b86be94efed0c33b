"""Hyper-parameters of the training of a learned optimizer; imports nothing slow."""

from dataclasses import dataclass
from typing import Annotated, Literal

from autoloss_gym.tools.bounds import (
    Bounds,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
)
from autoloss_gym.tools.fields import check_fields
from autoloss_gym.tools.names import shown

_Rate = Annotated[float, Bounds("a number above 0 and at most 1", above=0, most=1)]
_Hidden = Annotated[int, Bounds("an integer from 1 to 1024", least=1, most=1024)]


@dataclass(frozen=True, kw_only=True)
class LearnedOptimizerOptions:
    """Hyper-parameters.

    Args:
        method: how the gradient of the meta-loss is found: "unroll", by backpropagation through
            the updates of an unroll, or "evolution", by antithetic evolution strategies, whose
            batch has other weights in each run and needs no derivative of an update.
        meta: the part of the data on which the meta-loss is measured: that which the runs train on,
            or the validation part.
        unroll: updates between two steps of the meta-optimizer. The meta-loss is the mean of the
            losses after each of them.
        horizon: updates of a run, a multiple of `unroll`; runs begin new problems at different
            times.
        loss_weights: of the task's losses, by its pairs; by default 1 each.
        loss_cap: losses count for at most this many times that at the start of the run.
        hidden_size: units of the optimizer's network.
        start: file of weights to begin with; by default random ones.
        meta_optimizer: takes the steps of the weights.
        learning_rate: of the meta-optimizer.
        max_grad_norm: to which the meta-gradient is clipped.
        deviation: of the perturbations of the weights in evolution strategies; with `posterior`,
            the deviation that the posterior begins with.
        persistent: whether a run keeps its perturbation until its problem ends (evolution
            strategies with a single perturbation, Vicol 2023), so that truncation adds no bias, or
            draws one for each unroll.
        flatness: adds the spectral norm of the Hessian ("hessian") or the free energy of a
            neighbourhood ("entropy") of the point that an unroll ends in to the meta-loss.
        flatness_weight: factor on it.
        flatness_draws: power iterations, or points of the neighbourhood.
        flatness_radius: deviation of these points from the parameters.
        posterior: whether to learn a normal distribution of the weights instead of one row.
        evidence: number of problems that the data of the posterior count as; the more, the
            narrower it is.
        prior_deviation: of the weights before any data.
    """

    method: Literal["unroll", "evolution"] = "evolution"
    meta: Literal["train", "validation"] = "validation"
    unroll: PositiveInt = 20
    horizon: PositiveInt = 200
    loss_weights: tuple[NonNegativeFloat, ...] = ()
    loss_cap: PositiveFloat = 3.0
    hidden_size: _Hidden = 32
    start: str = ""
    meta_optimizer: Literal["adam", "rmsprop"] = "adam"
    learning_rate: _Rate = 1e-2
    max_grad_norm: PositiveFloat = 1.0
    deviation: PositiveFloat = 0.05
    persistent: bool = True
    flatness: Literal["hessian", "entropy"] | None = None
    flatness_weight: NonNegativeFloat = 1e-2
    flatness_draws: PositiveInt = 5
    flatness_radius: PositiveFloat = 0.1
    posterior: bool = False
    evidence: PositiveFloat = 1e4
    prior_deviation: PositiveFloat = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.horizon % self.unroll:
            raise ValueError(f"horizon={self.horizon}: expected a multiple of unroll={self.unroll}")
        if self.loss_weights and not any(self.loss_weights):
            raise ValueError(
                f"loss_weights={shown(self.loss_weights)}: expected one above 0 at least"
            )
