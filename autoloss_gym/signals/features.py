"""Observations: status features of training (AutoLoss §4.1–4.3), computed from the history."""

import functools
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.signals.description import RunDescription
from autoloss_gym.signals.history import History
from autoloss_gym.tools.compiling import graph_constant
from autoloss_gym.tools.fields import check_fields, converted

GROUPS = (
    "progress",
    "gradient_norms",
    "losses",
    "validation",
    "average",
    "difference",
    "second_difference",
    "norm_ratio",
    "loss_ratio",
    "patience",
    "extra",
)


class Scale(NamedTuple):
    """How a raw feature x becomes one within [-1, 1].

    Args:
        logarithmic: whether ln |x| takes the place of x.
        factor: what the result is multiplied by.
        bounded: whether tanh bounds it; what is left as it is lies within [-1, 1] already.
    """

    logarithmic: bool
    factor: float
    bounded: bool


# Equal steps are equal factors of a magnitude; e⁴ times a magnitude of 1 is tanh(1) = 0.76.
_MAGNITUDE = Scale(logarithmic=True, factor=0.25, bounded=True)
# In units of the metric's average: a change by 5 % is tanh(1).
_DIFFERENCE = Scale(logarithmic=False, factor=20.0, bounded=True)
_LOGARITHM = Scale(logarithmic=False, factor=0.25, bounded=True)
_SHARE = Scale(logarithmic=False, factor=1.0, bounded=False)
_SCALES = {
    "progress": _SHARE,
    "gradient_norms": _MAGNITUDE,
    "losses": _MAGNITUDE,
    "validation": _MAGNITUDE,
    "average": _MAGNITUDE,
    "difference": _DIFFERENCE,
    "second_difference": _DIFFERENCE,
    "norm_ratio": _LOGARITHM,
    "loss_ratio": _MAGNITUDE,
    "patience": _SHARE,
    "extra": _SHARE,
}
RAW_BOUND = 1e6
_TINY = 1e-8


@dataclass(frozen=True)
class Features:
    """Which groups of features an observation has, in the order of `GROUPS`, and how they are
    scaled.

    progress: t / T. gradient_norms: ‖∇ℓ‖₂ / √dim of each pair. losses: of each pair. validation,
        average, difference,
    second_difference: the metrics, their moving average, and those of their first and second
        difference. norm_ratio and
    loss_ratio, where there are two pairs: log of the ratio of the norms, and ratio of the losses
        (first to second).
    patience, where a task stops early: share that is left. extra: what the task adds.

    Args:
        description: of the runs that are observed.
        scaling: "raw" gives these numbers, clipped to ±10⁶. "scaled" maps them into [-1, 1]:
            magnitudes x (norms, losses, metrics, loss ratio) become tanh(ln(x) / 4) with the sign
            of x dropped and tiny values bounded, so that equal steps are equal factors; differences
            become tanh(20 · x / average); the log ratio becomes tanh(x / 4).
        drop: groups that are left out, for ablations.
    """

    description: RunDescription
    scaling: str = "scaled"
    drop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        converted("features", self.scaling, Literal["scaled", "raw"])
        check_fields(self)
        unknown = [group for group in self.drop if group not in GROUPS]
        if unknown or not self.groups:
            raise ValueError(
                f"drop={list(self.drop)}: expected some, but not all, of {', '.join(GROUPS)}"
            )

    @functools.cached_property
    def groups(self) -> tuple[str, ...]:
        """The groups that such runs have and that are not dropped."""
        absent = set(self.drop)
        if len(self.description.pairs) != 2:
            absent |= {"norm_ratio", "loss_ratio"}
        if not self.description.patience:
            absent |= {"patience"}
        return tuple(group for group in GROUPS if group not in absent)

    def bound(self) -> float:
        """The greatest absolute value of a feature."""
        return 1.0 if self.scaling == "scaled" else RAW_BOUND

    def __call__(
        self, history: History, extra: Float[Tensor, "num_envs extras"]
    ) -> tuple[Float[Tensor, "num_envs features"], Float[Tensor, " num_envs"] | None]:
        """Observations, float32, and where they are raw how many of each run's were clipped."""
        groups = [self._raw(group, history, extra) for group in self.groups]
        values = torch.cat(groups, dim=1)
        if self.scaling == "raw":
            clipped = torch.nan_to_num(values, nan=0.0).clamp(-RAW_BOUND, RAW_BOUND)
            return clipped, (clipped != values).sum(dim=1).to(values.dtype)

        sizes = tuple(group.shape[1] for group in groups)
        logarithmic, factor, bounded = _columns(self.groups, sizes, values.device)
        logs = torch.log(values.abs().clamp(min=_TINY, max=1 / _TINY))
        scaled = torch.where(logarithmic, logs, values) * factor
        return torch.where(bounded, torch.tanh(scaled), values), None

    def _raw(self, group: str, history: History, extra: Tensor) -> Tensor:
        """The columns of a group, (num_envs, size), before they are scaled."""
        dtype = history.losses.dtype
        if group == "progress":
            return (history.steps.to(dtype) / self.description.max_steps)[:, None]
        if group == "patience":
            left = 1 - history.since_best.to(dtype) / self.description.patience
            return left[:, None]
        if group == "extra":
            return extra
        if group == "norm_ratio":
            logs = torch.log(history.gradient_norms.clamp(min=_TINY))
            first, second = logs.chunk(2, dim=1)
            return first - second
        if group == "loss_ratio":
            first, second = history.losses.chunk(2, dim=1)
            return first / torch.where(second == 0, _TINY, second)
        values: Tensor = getattr(history, group)
        if self.scaling == "scaled" and group in ("difference", "second_difference"):
            return values / history.average.abs().clamp(min=_TINY)
        return values


@graph_constant()
def _columns(
    groups: tuple[str, ...], sizes: tuple[int, ...], device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """The scale of every column: whether it is logarithmic, its factor, whether it is bounded."""
    scales = []
    for group, size in zip(groups, sizes, strict=True):
        scales += [_SCALES[group]] * size
    logarithmic, factor, bounded = zip(*scales, strict=True)
    return (
        torch.tensor(logarithmic, dtype=torch.bool, device=device),
        torch.tensor(factor, dtype=torch.float32, device=device),
        torch.tensor(bounded, dtype=torch.bool, device=device),
    )
