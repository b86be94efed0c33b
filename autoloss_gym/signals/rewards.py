"""Rewards: what a run earned at a validation or at its end, from its history."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.signals.description import RunDescription
from autoloss_gym.signals.history import History
from autoloss_gym.tools.bounds import FiniteFloat, PositiveFloat, PositiveInt
from autoloss_gym.tools.fields import check_fields

_TINY = 1e-8


@dataclass(frozen=True, kw_only=True)
class Reward(ABC):
    """A function of the history: 0 at a step without a validation."""

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
    the first to the last validation.
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
        logs = torch.log(history.past[:, :2].clamp(min=_TINY))
        latest, before = logs.unbind(dim=1)
        gain = before - latest if description.metric.minimize else latest - before
        return torch.where(validated, gain, 0.0)


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
        metric = description.metric
        if self.formula == "negative" and not math.isfinite(metric.worst):
            raise ValueError(
                f"formula='negative': validation metric {metric.name!r} needs a finite worst value"
            )
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
        paid = self.scale * torch.where(validated, figure, least)
        return torch.where(ended, paid, 0.0)


@dataclass(frozen=True, kw_only=True)
class Improvement(Reward):
    """The online reward of AutoLoss §4.4: a segment's gain relative to the mean of the last ones.

    At the end of every segment of T = `segment` steps it pays

        (P_t − P_{t−T}) / max((P_t − P_{t−kT}) / k, `floor`),

    where P is the deciding metric, negated where it is minimised, and k = `window`. The floor keeps
    the denominator positive.
    """

    segment: PositiveInt = 50
    window: PositiveInt = 5
    floor: PositiveFloat = 1e-3

    def memory(self, description: RunDescription) -> int:
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
        past = -history.past if description.metric.minimize else history.past
        latest, oldest = past[:, 0], past[:, -1]
        gain = latest - past[:, self.segment // description.validate_every]
        mean_gain = ((latest - oldest) / self.window).clamp(min=self.floor)
        segment_ends = validated & (history.steps % self.segment == 0)
        return torch.where(segment_ends, gain / mean_gain, 0.0)


REWARDS: dict[str, type[Reward]] = {"shaped": Shaped, "final": Final, "improvement": Improvement}
