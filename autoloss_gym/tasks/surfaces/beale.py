"""Beale's function as three losses, a surface on which SoftAdapt is tried."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from autoloss_gym.core.loss import Loss
from autoloss_gym.core.task import Pair
from autoloss_gym.optimizers import SGD, Optimizer
from autoloss_gym.tasks.surfaces.surface import Coordinate, Residual, Surface, square
from autoloss_gym.tools.bounds import PositiveInt

_CONSTANTS = {"linear": 1.5, "quadratic": 2.25, "cubic": 2.625}


@dataclass(frozen=True, kw_only=True)
class Beale(Surface):
    """How to weigh three losses that agree at one point only: a flat valley between steep walls.

    ## Description
    A point (x, y) descends Σ_j (k_j − x + x yʲ)², j = 1, 2, 3, with k = (1.5, 2.25, 2.625). Each
    part is 0 on a curve of its own; the three meet at the minimum (3, 0.5), towards which the
    valley is flat. How far from it the run ends is what counts, whatever weights it descended with.

    ## Losses
    `linear`: (1.5 − x + x y)². `quadratic`: (2.25 − x + x y²)². `cubic`: (2.625 − x + x y³)². All
    move the one block `point`, down the weighted gradient, by a fixed step or by Barzilai–Borwein
    steps.

    ## Action Space
    `control="pair"`: Discrete(3), a step on `linear`, `quadratic` or `cubic`. `control="weights"`:
    Box(-1, 1) with three entries, for weights that sum to 1 unless `normalize` says otherwise
    (SoftAdapt's setting).

    ## Observation Space
    Box, the feature groups of `autoloss_gym.signals.features.Features`: 11 numbers, 12 with
    `patience`. The validation metric is the distance to the minimum.

    ## Rewards
    `shaped` (default) is the decrease of the log distance since the last validation; `final` pays
    10 / the least distance at the end; `improvement` is the online reward of AutoLoss §4.4.

    ## Starting State
    x and y uniform on a square of side `start_width` around `start`, drawn anew for each problem;
    see `num_instances`.

    ## Episode End
    Terminates after `max_steps` updates, after `patience` validations without a new best, or when
    training diverges.

    ## Arguments
    start, start_width: centre and side of the square where runs begin; width 0 is the point (1, 1)
        itself.
    step: "fixed", "barzilai_borwein_1" (‖Δx‖² / |Δx·Δh|) or "barzilai_borwein_2" (|Δx·Δh| / ‖Δh‖²),
        where h is the weighted gradient; the first step is the learning rate. None, the default,
        leaves `optimizer` as it is: a fixed step.
    step_bounds: least and greatest Barzilai–Borwein step.
    optimizer, learning_rate_factor, clip_norm, max_steps, validate_every, patience,
        collapse_repeats, collapse_share: see `GradientTask` and `Task`.

    preset: "mixture" for a family of problems that begin in a square of side 1, with a learning
        rate factor from 0.05 to 1.

    The score is the distance to the minimum; `objective` is the sum of the three losses. Where the
    learning rate factor is a range, the score is `log_distance`, the natural logarithm of the
    distance between 1e-6 and 100, so that far and near ends count alike.

    ## References
    Moré, Garbow, Hillstrom: "Testing unconstrained optimization software", ACM Transactions on
        Mathematical Software 7, 1981.
    Heydari, Thompson, Mehmood: "SoftAdapt: Techniques for Adaptive Loss Weighting", arXiv
        1912.12355, 2019.
    Barzilai, Borwein: "Two-point step size gradient methods", IMA Journal of Numerical Analysis 8,
        1988.

    ## Version History
    v1: a validation counts for no worse than its metric's worst value, which a run that diverges is
        paid as its last; `reward_arguments={"bounded": False}` pays as v0 does.
    v0: initial version.
    """

    pairs: ClassVar[tuple[Pair, ...]] = tuple(Pair(name, ("point",)) for name in _CONSTANTS)

    start: tuple[Coordinate, Coordinate] = (1.0, 1.0)
    max_steps: PositiveInt = 1000
    validate_every: PositiveInt = 10
    optimizer: Optimizer = field(default_factory=lambda: SGD(learning_rate=1e-2))

    @property
    def minimum(self) -> tuple[float, float]:
        return 3.0, 0.5

    def losses(self) -> Mapping[str, Loss]:
        return {name: square(_residual(k, j)) for j, (name, k) in enumerate(_CONSTANTS.items(), 1)}


def _residual(k: float, j: int) -> Residual:
    """k − x + x yʲ with its slopes yʲ − 1 and j x yʲ⁻¹."""

    def residual(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        before = math.prod([y] * (j - 1), start=torch.ones_like(y))
        power = before * y
        return k - x + x * power, power - 1, x * before * j

    return residual
