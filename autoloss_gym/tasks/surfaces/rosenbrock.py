"""Rosenbrock's curved valley as two losses, a surface on which SoftAdapt is tried."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from autoloss_gym.core.loss import Loss
from autoloss_gym.core.task import Pair
from autoloss_gym.optimizers import SGD, Optimizer
from autoloss_gym.tasks.surfaces.surface import Coordinate, Surface, square
from autoloss_gym.tools.bounds import FiniteFloat, PositiveFloat, PositiveInt


@dataclass(frozen=True, kw_only=True)
class Rosenbrock(Surface):
    """How to weigh two losses of very different curvature: a narrow valley that bends to the
    minimum.

    ## Description
    A point (x, y) descends (a − x)² + b (y − x²)², whose minimum (a, a²) lies in a narrow valley
    along y = x². The second part is hundreds of times as steep as the first: the step size must
    suit the second, and the way along the valley, which only the first part shows, is then slow.
    How far from the minimum the run ends is what counts, whatever weights it descended with.

    ## Losses
    `line`: (a − x)², 0 where x = a. `parabola`: b (y − x²)², 0 in the valley. Both move the one
    block `point`, down the weighted gradient, by a fixed step or by Barzilai–Borwein steps.

    ## Action Space
    `control="pair"`: Discrete(2), 0 = a step on `line`, 1 = a step on `parabola`.
    `control="weights"`: Box(-1, 1) with two entries, for weights that sum to 1 unless `normalize`
    says otherwise (SoftAdapt's setting).

    ## Observation Space
    Box, the feature groups of `autoloss_gym.signals.features.Features`: 11 numbers, 12 with
    `patience`. The validation metric is the distance to the minimum.

    ## Rewards
    `shaped` (default) is the decrease of the log distance since the last validation; `final` pays
    10 / the least distance at the end; `improvement` is the online reward of AutoLoss §4.4.

    ## Starting State
    x and y uniform on a square of side `start_width` around `start`, drawn anew for each problem;
    see `num_instances`. From (−1.2, 1) itself, where y is right already, `line` alone leads
    straight to the minimum (1, 1).

    ## Episode End
    Terminates after `max_steps` updates, after `patience` validations without a new best, or when
    training diverges.

    ## Arguments
    a, b: of the formula.
    start, start_width: centre and side of the square where runs begin; width 0 is the classical
        beginning (−1.2, 1).
    step: "fixed", "barzilai_borwein_1" (‖Δx‖² / |Δx·Δh|) or "barzilai_borwein_2" (|Δx·Δh| / ‖Δh‖²),
        where h is the weighted gradient; the first step is the learning rate. None, the default,
        leaves `optimizer` as it is: a fixed step.
    step_bounds: least and greatest Barzilai–Borwein step.
    optimizer, learning_rate_factor, clip_norm, max_steps, validate_every, patience,
        collapse_repeats, collapse_share: see `GradientTask` and `Task`.

    preset: "mixture" for a family of problems that begin in a square of side 1, with a learning
        rate factor from 0.05 to 1.

    The score is the distance to the minimum; `objective` is the sum of both losses. Where the
    learning rate factor is a range, the score is `log_distance`, the natural logarithm of the
    distance between 1e-6 and 100, so that far and near ends count alike.

    ## References
    Rosenbrock: "An automatic method for finding the greatest or least value of a function", The
        Computer Journal 3, 1960.
    Heydari, Thompson, Mehmood: "SoftAdapt: Techniques for Adaptive Loss Weighting", arXiv
        1912.12355, 2019.
    Barzilai, Borwein: "Two-point step size gradient methods", IMA Journal of Numerical Analysis 8,
        1988.

    ## Version History
    v1: a validation counts for no worse than its metric's worst value, which a run that diverges is
        paid as its last; `reward_arguments={"bounded": False}` pays as v0 does.
    v0: initial version.
    """

    pairs: ClassVar[tuple[Pair, ...]] = (Pair("line", ("point",)), Pair("parabola", ("point",)))

    a: FiniteFloat = 1.0
    b: PositiveFloat = 100.0
    start: tuple[Coordinate, Coordinate] = (-1.2, 1.0)
    max_steps: PositiveInt = 1000
    validate_every: PositiveInt = 10
    optimizer: Optimizer = field(default_factory=lambda: SGD(learning_rate=1e-3))

    @property
    def minimum(self) -> tuple[float, float]:
        return self.a, self.a * self.a

    def losses(self) -> Mapping[str, Loss]:
        return {"line": square(self._to_line), "parabola": square(_to_parabola, self.b)}

    def _to_line(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.a - x, torch.full_like(x, -1.0), torch.zeros_like(x)


def _to_parabola(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return y - x * x, x * -2, torch.ones_like(x)
