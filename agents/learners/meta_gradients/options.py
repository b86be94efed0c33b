"""Hyper-parameters of meta-gradient descent; imports nothing slow."""

from dataclasses import dataclass
from typing import Annotated, Literal

from autoloss_gym.tools.bounds import Bounds, PositiveFloat
from autoloss_gym.tools.fields import check_fields

_Knots = Annotated[int, Bounds("an integer from 1 to 100", least=1, most=100)]
_Start = Annotated[float, Bounds("a number from 1e-30 to 1e30", least=1e-30, most=1e30)]


@dataclass(frozen=True, kw_only=True)
class MetaGradientOptions:
    """Hyper-parameters of meta-gradient descent; a meta-step makes `num_envs` training runs.

    Args:
        objective: what is made small: the objective F of the trained model ("final"), or
            (1/t) log F after t updates ("log"), whose gradient neither explodes nor vanishes.
        part: whose objective: the first loss on the training data ("train", train-by-train), or
            the first validation metric that is minimised ("validation", train-by-validation).
        differentiation: "backward" keeps the graph of all updates, which is fast where there is
            memory for it; "forward" carries one tangent for each number that is tuned along with
            the run, in constant memory.
        step_size: tune its logarithm ("log"), itself, projected to at least 0 ("plain"), or not at
            all ("fixed"). It is a factor on the task's learning rate.
        loss_weights: whether the loss weights are tuned too, as logarithms.
        knots: moments with numbers of their own, equally spaced from the first to the last update;
            between them logarithms are linear. 1 holds the same numbers throughout.
        start: the step size to begin with.
        meta_step: "adam", or "root" for c / √k at the k-th meta-step; by default "root" where the
            step size is plain.
        meta_learning_rate: of Adam, or c.
        clip: largest norm of a meta-gradient; longer ones are scaled down. None for no limit.
        precision: of the training runs.
        problems: new ones at each meta-step ("new"), or the same ones ("fixed").
    """

    objective: Literal["final", "log"] = "log"
    part: Literal["train", "validation"] = "validation"
    differentiation: Literal["backward", "forward"] = "backward"
    step_size: Literal["log", "plain", "fixed"] = "log"
    loss_weights: bool = False
    knots: _Knots = 1
    start: _Start = 1.0
    meta_step: Literal["adam", "root"] | None = None
    meta_learning_rate: PositiveFloat = 0.05
    clip: PositiveFloat | None = None
    precision: Literal["float32", "float64"] = "float32"
    problems: Literal["new", "fixed"] = "new"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.step_size == "plain" and self.knots > 1:
            raise ValueError(
                f"step_size='plain' with knots={self.knots}: expected 1 knot, because schedules "
                "are linear in logarithms; use step_size='log'"
            )
        if self.step_size == "fixed" and not self.loss_weights:
            raise ValueError(
                "step_size='fixed' without loss_weights: nothing is tuned; give loss_weights=True"
            )

    @property
    def uses_adam(self) -> bool:
        """Whether meta-steps are those of Adam."""
        return self.meta_step == "adam" or (self.meta_step is None and self.step_size != "plain")
