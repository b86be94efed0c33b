"""Observations: status features of training (AutoLoss §4.1–4.3), computed from the history."""

import functools
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.signals.description import RunDescription
from autoloss_gym.signals.groups import (
    ADDED,
    GROUPS,
    TINY,
    Signals,
    check_added,
    columns,
    needed_gradients,
)
from autoloss_gym.tools.compiling import graph_constant
from autoloss_gym.tools.fields import check_fields, converted


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
# Of figures that are close to each other: e times as much is tanh(1).
_CLOSE = Scale(logarithmic=False, factor=1.0, bounded=True)
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
    "sizes": _MAGNITUDE,
    "sparsity": _SHARE,
    "gap": _CLOSE,
    "best": _CLOSE,
    "gradient_noise": _SHARE,
    "gradient_cosines": _SHARE,
    "shift": _SHARE,
    "step_size": _MAGNITUDE,
}
RAW_BOUND = 1e6
LOG_BOUND = 20.0
_BOUNDS = {"scaled": 1.0, "raw": RAW_BOUND, "log": LOG_BOUND}
_SMALLEST = 1e-37  # whose logarithm is taken, far outside of the box


@dataclass(frozen=True)
class Features:
    """Which groups of features an observation has, in the order of `GROUPS` and `ADDED`, and how
    they are scaled.

    progress: t / T. gradient_norms: ‖∇ℓ‖₂ / √dim of each pair. losses: of each pair. validation,
        average, difference,
    second_difference: the metrics, their moving average, and those of their first and second
        difference. norm_ratio and
    loss_ratio, where there are two pairs: log of the ratio of the norms, and ratio of the losses
        (first to second).
    patience, where a task stops early: share that is left. extra: what the task adds.

    Groups that are there only if they are added:

    sizes: mean absolute value of each parameter block's entries (its L1 norm by its size).
    sparsity: share of each block's entries whose absolute value is below 0.01.
    gap: ln (validation metric / loss) for each validation metric that has a loss of the same name.
    best: how far the deciding metric is behind its best: ln (latest / best), or (best / latest)
        where it is maximised; 0 where the latest is the best.
    gradient_noise: of each pair, the cosine between its gradients for the last and the next update;
        1 at the start.
    gradient_cosines: of every two pairs that share blocks, the cosine between their gradients by
        these blocks, for the next update.
    shift: the last action of `control="schedule"`; zeros before the first.
    step_size: the factor on the learning rate in the last update; 1 before the first.

    The gradient groups cost one gradient of every pair a step, two where a step makes several
    updates and gradient_noise is added. With 64 regressions, one update a step and one CPU thread,
    a step took 1.8 times as long with gradient_cosines, 1.9 times with gradient_noise and 2.0 times
    with both, against 1.1 times with sizes, sparsity, gap and best together.

    Args:
        description: of the runs that are observed.
        scaling: "raw" gives these numbers, clipped to ±10⁶. "scaled" maps them into [-1, 1]:
            magnitudes x (norms, losses, metrics, loss ratio, sizes, step size) become tanh(ln(x) /
            4) with the sign of x dropped and tiny values bounded, so that equal steps are equal
            factors;
            differences become tanh(20 · x / average); the log ratio becomes tanh(x / 4), gap and
            best tanh(x). "log" gives ln |x| of magnitudes, differences as x / average, and the
            others as they are, clipped to ±20.
        drop: groups that are left out, for ablations.
        add: groups beside the usual ones.
    """

    description: RunDescription
    scaling: str = "scaled"
    drop: tuple[str, ...] = ()
    add: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        converted("features", self.scaling, Literal["scaled", "raw", "log"])
        check_fields(self)
        unknown = [group for group in self.add if group not in ADDED]
        if unknown:
            raise ValueError(f"add={list(self.add)}: expected some of {', '.join(ADDED)}")
        unknown = [group for group in self.drop if group not in GROUPS]
        if unknown or not self.groups:
            raise ValueError(
                f"drop={list(self.drop)}: expected some, but not all, of {', '.join(GROUPS)}"
            )
        check_added(self.description, self.add)

    @functools.cached_property
    def groups(self) -> tuple[str, ...]:
        """The groups that such runs have and that are not dropped, and those that are added."""
        absent = set(self.drop)
        if len(self.description.pairs) != 2:
            absent |= {"norm_ratio", "loss_ratio"}
        if not self.description.patience:
            absent |= {"patience"}
        usual = tuple(group for group in GROUPS if group not in absent)
        return usual + tuple(group for group in ADDED if group in self.add)

    @property
    def gradients(self) -> tuple[str, ...]:
        """Which of `Signals.gradients` are looked at."""
        return needed_gradients(self.groups)

    def bound(self) -> float:
        """The greatest absolute value of a feature."""
        return _BOUNDS[self.scaling]

    def __call__(
        self, signals: Signals
    ) -> tuple[Float[Tensor, "num_envs features"], Float[Tensor, " num_envs"] | None]:
        """Observations, float32, and where no tanh bounds them how many of each run's were clipped.

        Raises:
            ValueError: "shift" is to be seen, and no schedule is held.
        """
        groups = self._columns(signals)
        values = torch.cat(groups, dim=1)
        if self.scaling == "raw":
            return _clipped(values, RAW_BOUND)

        sizes = tuple(group.shape[1] for group in groups)
        logarithmic, factor, bounded = _scale_columns(self.groups, sizes, values.device)
        if self.scaling == "log":
            logs = torch.log(values.abs().clamp(min=_SMALLEST))
            return _clipped(torch.where(logarithmic, logs, values), LOG_BOUND)
        logs = torch.log(values.abs().clamp(min=TINY, max=1 / TINY))
        scaled = torch.where(logarithmic, logs, values) * factor
        return torch.where(bounded, torch.tanh(scaled), values), None

    def _columns(self, signals: Signals) -> list[Float[Tensor, "num_envs _"]]:
        """The columns of each group, before they are scaled."""
        found = []
        average = None
        for group in self.groups:
            values = columns(self.description, group, signals)
            if self.scaling != "raw" and group in ("difference", "second_difference"):
                if average is None:
                    average = signals.history.average.abs().clamp(min=TINY)
                values = values / average
            found.append(values)
        return found


def _clipped(
    values: Float[Tensor, "num_envs features"], bound: float
) -> tuple[Float[Tensor, "num_envs features"], Float[Tensor, " num_envs"]]:
    """The values within ±bound, and how many of each run's were outside."""
    clipped = torch.nan_to_num(values, nan=0.0).clamp(-bound, bound)
    return clipped, (clipped != values).sum(dim=1).to(values.dtype)


@graph_constant()
def _scale_columns(
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
