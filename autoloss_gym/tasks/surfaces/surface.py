"""What the test surfaces share: a point (x, y), squares of residuals as losses, and the distance to
their common minimum.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.loss import ClosedForm
from autoloss_gym.core.task import Keys, Metric
from autoloss_gym.optimizers import SGD, BarzilaiBorwein, Optimizer
from autoloss_gym.tools.bounds import Bounds, PositiveFloat
from autoloss_gym.tools.names import unknown
from autoloss_gym.tools.tree import Parameters

# The losses are polynomials of a degree up to 8: farther out they overflow.
_FARTHEST = 1000.0
_LEAST_DISTANCE, _WORST_DISTANCE = 1e-6, 100.0
Coordinate = Annotated[
    float, Bounds("a number from -1000 to 1000", least=-_FARTHEST, most=_FARTHEST)
]
Width = Annotated[float, Bounds("a number from 0 to 1000", least=0, most=_FARTHEST)]
_FORMS: dict[str, Literal["long", "short"]] = {
    "barzilai_borwein_1": "long",
    "barzilai_borwein_2": "short",
}
Residual = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


@dataclass(frozen=True, kw_only=True)
class Surface(GradientTask):
    """A point in the plane that moves down several losses, all of which are 0 at `minimum`.

    Args:
        start: (x, y) where runs begin.
        start_width: side of the square around `start` from which each problem draws its own
            beginning.
        step: "fixed" for plain gradient descent, "barzilai_borwein_1" or "barzilai_borwein_2" for
            steps of that form; they replace `optimizer`, of which only the learning rate is kept.
            None leaves `optimizer` as it is.
        step_bounds: least and greatest Barzilai–Borwein step.
    """

    full_batch: ClassVar[bool] = True
    validation_metrics: ClassVar[tuple[Metric, ...]] = (Metric("distance", worst=100.0),)
    # Problems that differ in where they begin and in a rate that nobody is told.
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "mixture": {"start_width": 1.0, "learning_rate_factor": (0.05, 1.0)}
    }

    start: tuple[Coordinate, Coordinate]
    start_width: Width = 0.5
    step: str | None = None
    step_bounds: tuple[PositiveFloat, PositiveFloat] = (1e-4, 1e-1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.step is not None:
            # Whoever asks a task for its optimizer gets the one that makes the steps.
            object.__setattr__(self, "optimizer", self._optimizer_of(self.step))

    def _optimizer_of(self, step: str) -> Optimizer:
        if step not in (*_FORMS, "fixed"):
            raise ValueError(unknown("step", step, (*_FORMS, "fixed")))
        rate = self.optimizer.learning_rate
        lower, upper = self.step_bounds
        if step == "fixed":
            return SGD(learning_rate=rate)
        return BarzilaiBorwein(learning_rate=rate, form=_FORMS[step], lower=lower, upper=upper)

    @property
    @abstractmethod
    def minimum(self) -> tuple[float, float]:
        """The one point (x, y) where every loss is 0."""

    @property
    def score_metrics(self) -> tuple[Metric, ...]:
        metrics = Metric("distance", worst=_WORST_DISTANCE), Metric("objective", worst=1e4)
        if not self._is_mixture:
            return metrics
        return Metric("log_distance", worst=math.log(_WORST_DISTANCE)), *metrics

    @property
    def _is_mixture(self) -> bool:
        return isinstance(self.learning_rate_factor, tuple)

    def make_data(self, keys: Keys) -> dict[str, Any]:
        return {}

    def initial_parameters(self, keys: Keys) -> dict[str, Any]:
        half = self.start_width / 2
        shift = random.uniform(random.fold_in(keys.problem, "start"), (2,), -half, half)
        centre = torch.tensor(self.start, dtype=shift.dtype, device=shift.device)
        return {"point": shift + centre}

    def batch(self, data: Any, keys: Int64[Tensor, " num_envs"]) -> Any:
        return data

    def validation_values(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs 1"]:
        return self._distance(parameters)[:, None]

    def score_values(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs metrics"]:
        values = [loss(parameters, data) for loss in self.losses().values()]
        objective = torch.stack(values, dim=1).sum(dim=1)
        distance = self._distance(parameters)
        values = [distance, objective]
        if self._is_mixture:
            values.insert(0, torch.log(distance.clamp(_LEAST_DISTANCE, _WORST_DISTANCE)))
        return torch.stack(values, dim=1)

    def _distance(self, parameters: Parameters) -> Float[Tensor, " num_envs"]:
        x, y = parameters["point"].unbind(dim=1)
        minimum_x, minimum_y = self.minimum
        right = x - minimum_x
        up = y - minimum_y
        return torch.sqrt(right * right + up * up)


def square(residual: Residual, scale: float = 1.0) -> ClosedForm:
    """The loss scale · r(x, y)², with its gradient 2 · scale · r · (∂r/∂x, ∂r/∂y).

    Args:
        residual: (x, y) → r, ∂r/∂x and ∂r/∂y, each (num_envs,).
        scale: factor.
    """

    def loss(parameters: Parameters, batch: Any) -> Tensor:
        value, _, _ = residual(*parameters["point"].unbind(dim=1))
        return value * value * scale

    def value_and_gradient(parameters: Parameters, batch: Any) -> tuple[Tensor, Parameters]:
        value, slope_x, slope_y = residual(*parameters["point"].unbind(dim=1))
        factor = value * (2 * scale)
        gradient = torch.stack([factor * slope_x, factor * slope_y], dim=1)
        return value * value * scale, {"point": gradient}

    return ClosedForm(loss, value_and_gradient)
