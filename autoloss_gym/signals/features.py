"""Observations: status features of training (AutoLoss §4.1–4.3), computed from the history."""

import functools
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.core.task import Task
from autoloss_gym.signals.history import History
from autoloss_gym.tools.compiling import graph_constant

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
_SCALES = {  # whether the logarithm is taken, then a factor, and whether tanh bounds the result
    **dict.fromkeys(
        ("gradient_norms", "losses", "validation", "average", "loss_ratio"), (True, 0.25, True)
    ),
    **dict.fromkeys(("difference", "second_difference"), (False, 20.0, True)),
    "norm_ratio": (False, 0.25, True),
    **dict.fromkeys(("progress", "patience", "extra"), (False, 1.0, False)),
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
        task: what is observed.
        scaling: "raw" gives these numbers, clipped to ±10⁶. "scaled" maps them into [-1, 1]:
            magnitudes x (norms, losses, metrics, loss ratio) become tanh(ln(x) / 4) with the sign
            of x dropped and tiny values bounded, so that equal steps are equal factors; differences
            become tanh(20 · x / average); the log ratio becomes tanh(x / 4).
        drop: groups that are left out, for ablations.
    """

    task: Task
    scaling: str = "scaled"
    drop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.scaling not in ("scaled", "raw"):
            raise ValueError(f"features={self.scaling!r}: expected 'scaled' or 'raw'")
        unknown = [group for group in self.drop if group not in GROUPS]
        if unknown or not self.groups:
            raise ValueError(
                f"drop={list(self.drop)}: expected some, but not all, of {', '.join(GROUPS)}"
            )

    @functools.cached_property
    def groups(self) -> tuple[str, ...]:
        """The groups that this task has and that are not dropped."""
        absent = set(self.drop)
        if len(self.task.pairs) != 2:
            absent |= {"norm_ratio", "loss_ratio"}
        if not self.task.patience:
            absent |= {"patience"}
        return tuple(group for group in GROUPS if group not in absent)

    def bound(self) -> float:
        return 1.0 if self.scaling == "scaled" else RAW_BOUND

    def __call__(
        self, history: History, extra: Float[Tensor, "num_envs extras"]
    ) -> tuple[Float[Tensor, "num_envs features"], Float[Tensor, " num_envs"] | None]:
        """Observations, float32, and where they are raw how many of each run's features were
        clipped.
        """
        level = history.average.abs().clamp(min=_TINY) if self.scaling == "scaled" else None
        groups = [self._raw(group, history, extra, level) for group in self.groups]
        values = torch.cat(groups, dim=1)
        if self.scaling == "scaled":
            logarithmic, factor, bounded = _columns(
                self.groups, tuple(group.shape[1] for group in groups), values.device
            )
            logs = torch.log(values.abs().clamp(min=_TINY, max=1 / _TINY))
            return torch.where(
                bounded, torch.tanh(torch.where(logarithmic, logs, values) * factor), values
            ), None
        clipped = torch.nan_to_num(values, nan=0.0).clamp(-RAW_BOUND, RAW_BOUND)
        return clipped, (clipped != values).sum(dim=1).to(values.dtype)

    def _raw(self, group: str, history: History, extra: Tensor, level: Tensor | None) -> Tensor:
        if group == "progress":
            return (history.steps / self.task.max_steps).to(history.losses.dtype)[:, None]
        if group == "patience":
            return (1 - history.since_best / self.task.patience).to(history.losses.dtype)[:, None]
        if group == "extra":
            return extra
        if group == "norm_ratio":
            first, second = torch.log(history.gradient_norms.clamp(min=_TINY)).chunk(2, dim=1)
            return first - second
        if group == "loss_ratio":
            first, second = history.losses.chunk(2, dim=1)
            return first / torch.where(second == 0, _TINY, second)
        values: Tensor = getattr(history, group)
        return (
            values
            if level is None or group not in ("difference", "second_difference")
            else values / level
        )


@graph_constant()
def _columns(
    groups: tuple[str, ...], sizes: tuple[int, ...], device: torch.device
) -> tuple[Tensor, ...]:
    """Of every column: whether its logarithm is taken, its factor, and whether tanh bounds it."""
    scales = [
        scale
        for group, size in zip(groups, sizes, strict=True)
        for scale in [_SCALES[group]] * size
    ]
    return tuple(torch.tensor(column, device=device) for column in zip(*scales, strict=True))
