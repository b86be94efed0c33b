"""Rewards: what a run earned at a validation or at its end, from its history.

No validation counts for less than its metric's declared worst value, and a run that diverges is
paid as if its last validation had shown that value: to diverge is never better than to stay.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.core.task import Metric
from autoloss_gym.signals.description import RunDescription
from autoloss_gym.signals.history import History
from autoloss_gym.tools.bounds import FiniteFloat, PositiveFloat, PositiveInt
from autoloss_gym.tools.fields import check_fields

# Bounds of what is given to a logarithm; the upper one where a metric declares no worst value.
_TINY = 1e-8
_HUGE = 1e8


@dataclass(frozen=True, kw_only=True)
class Reward(ABC):
    """A function of the history: 0 at a step without a validation.

    Args:
        bounded: whether the metric's worst value bounds what a validation counts for, and is what a
            run that diverges is taken to have shown. False is the reward of version 0 of the ids,
            which pays nothing to a run that diverges ("final" pays it the least).
    """

    bounded: bool = True

    def __post_init__(self) -> None:
        check_fields(self)

    @abstractmethod
    def memory(self, description: RunDescription) -> int:
        """How many validations before the latest it looks at.

        Raises:
            ValueError: the reward does not suit such runs.
        """

    @abstractmethod
    def __call__(
        self,
        description: RunDescription,
        history: History,
        validated: Bool[Tensor, " num_envs"],
        ended: Bool[Tensor, " num_envs"],
    ) -> Float[Tensor, " num_envs"]:
        """Reward of this step.

        Args:
            description: gives the direction of the deciding metric.
            history: the runs so far.
            validated: runs whose validation metrics are new, none of which has diverged.
            ended: runs that end here; those that are not validated have diverged.
        """


@dataclass(frozen=True, kw_only=True)
class Shaped(Reward):
    """Decrease of the log of the deciding metric since the last validation.

    Where the metric is maximised, its increase. The rewards of an episode sum to the decrease from
    the first to the last validation. The log is taken between 1e-8 and the metric's worst value,
    or 1e8 where it declares none.
    """

    def memory(self, description: RunDescription) -> int:
        return 1

    def __call__(
        self,
        description: RunDescription,
        history: History,
        validated: Bool[Tensor, " num_envs"],
        ended: Bool[Tensor, " num_envs"],
    ) -> Float[Tensor, " num_envs"]:
        metric = description.metric
        past = history.past
        paid = validated
        if self.bounded:
            past = _shown(history, metric, _worst_to_log(metric), ended & ~validated)
            paid = validated | ended
        latest, before = torch.log(past[:, :2].clamp(min=_TINY)).unbind(dim=1)
        gain = before - latest if metric.minimize else latest - before
        return torch.where(paid, gain, 0.0)


@dataclass(frozen=True, kw_only=True)
class Final(Reward):
    """The figure of the best validation, paid at the end (AutoLoss §3.3 and §4).

    A run that diverged gets the least that the formula can pay, which is 0 for "inverse" and
    "square".

    Args:
        formula: "inverse" pays scale / error, for regression; "negative_inverse" pays -scale /
            accuracy, for classification; "square" pays scale · score², for inception scores;
            "negative" pays -scale · error, for perplexity. None is "inverse" where the deciding
            metric is minimised, else "negative_inverse".
        scale: the constant C.
        floor: least value of a denominator; it bounds the reward (the released code uses .5 for
            accuracies).
    """

    formula: Literal["inverse", "negative_inverse", "square", "negative"] | None = None
    scale: FiniteFloat = 10.0
    floor: PositiveFloat = 1e-2

    def memory(self, description: RunDescription) -> int:
        if self.formula == "negative":
            _need_worst(description.metric, "formula='negative'")
        return 0

    def __call__(
        self,
        description: RunDescription,
        history: History,
        validated: Bool[Tensor, " num_envs"],
        ended: Bool[Tensor, " num_envs"],
    ) -> Float[Tensor, " num_envs"]:
        best = history.best
        metric = description.metric
        suited = "inverse" if metric.minimize else "negative_inverse"
        figures_and_least = {
            "inverse": (1 / best.clamp(min=self.floor), 0.0),
            "negative_inverse": (-1 / best.clamp(min=self.floor), -1 / self.floor),
            "square": (best * best, 0.0),
            "negative": (-best, -metric.worst),
        }
        figure, least = figures_and_least[self.formula or suited]
        if self.bounded:
            figure = figure.clamp(min=least)
        paid = self.scale * torch.where(validated, figure, least)
        return torch.where(ended, paid, 0.0)


@dataclass(frozen=True, kw_only=True)
class Improvement(Reward):
    """The online reward of AutoLoss §4.4: a segment's gain relative to the mean of the last ones.

    At the end of every segment of T = `segment` steps it pays

        (P_t − P_{t−T}) / max((P_t − P_{t−kT}) / k, `floor`),

    where P is the deciding metric, negated where it is minimised, and k = `window`. The floor keeps
    the denominator positive. A run that diverges ends its segment there.
    """

    segment: PositiveInt = 50
    window: PositiveInt = 5
    floor: PositiveFloat = 1e-3

    def memory(self, description: RunDescription) -> int:
        if self.bounded:
            _need_worst(description.metric, "improvement")
        if self.segment % description.validate_every:
            raise ValueError(
                f"segment={self.segment}: expected a multiple of "
                f"validate_every={description.validate_every}"
            )
        return self.window * self.segment // description.validate_every

    def __call__(
        self,
        description: RunDescription,
        history: History,
        validated: Bool[Tensor, " num_envs"],
        ended: Bool[Tensor, " num_envs"],
    ) -> Float[Tensor, " num_envs"]:
        metric = description.metric
        past = history.past
        since_segment = history.steps % self.segment
        pays = validated & (since_segment == 0)
        if self.bounded:
            diverged = ended & ~validated
            past = _shown(history, metric, metric.worst, diverged)
            pays = pays | diverged
        goodness = -past if metric.minimize else past
        latest, oldest = goodness[:, 0], goodness[:, -1]
        length = torch.where(since_segment == 0, self.segment, since_segment)
        start = length // description.validate_every
        gain = latest - goodness.gather(1, start[:, None])[:, 0]
        mean_gain = ((latest - oldest) / self.window).clamp(min=self.floor)
        return torch.where(pays, gain / mean_gain, 0.0)


def _shown(
    history: History, metric: Metric, worst: float, diverged: Bool[Tensor, " num_envs"]
) -> Float[Tensor, "num_envs memory"]:
    """The deciding metric, newest first, as if runs that `diverged` had now shown the worst."""
    past = history.past
    with_worst = torch.cat([torch.full_like(past[:, :1], worst), past[:, :-1]], dim=1)
    shown = torch.where(diverged[:, None], with_worst, past)
    return shown.clamp(max=worst) if metric.minimize else shown.clamp(min=worst)


def _worst_to_log(metric: Metric) -> float:
    """The worst value of a metric, or where it declares none the end of what we take logs of."""
    if math.isfinite(metric.worst):
        return metric.worst
    return _HUGE if metric.minimize else _TINY


def _need_worst(metric: Metric, user: str) -> None:
    if not math.isfinite(metric.worst):
        raise ValueError(
            f"{user}: validation metric {metric.name!r} needs a finite worst value; declare it, "
            "or choose reward='shaped'"
        )


REWARDS: dict[str, type[Reward]] = {"shaped": Shaped, "final": Final, "improvement": Improvement}
