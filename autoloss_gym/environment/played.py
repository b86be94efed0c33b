"""What was played, of all runs or of some that are put together again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.environment.moves import Acted
from autoloss_gym.environment.runs import Observations


class Validation(NamedTuple):
    """Runs that were validated, (num_envs,), bool, on the host; what all were paid, and the metrics
    of all as far as they are known then.
    """

    due: np.ndarray
    rewards: Float[Tensor, " num_envs"]
    metrics: Float[Tensor, "num_envs metrics"]


@dataclass
class Played:
    """What a segment was worth.

    Args:
        rewards: their sum, (num_envs,).
        ended: runs that ended in the segment, (num_envs,), bool, on the host.
        due: runs that its last update has validated, (num_envs,), bool, on the host.
        observed: features of the runs after it, where they were computed on the way.
        validations: of some runs, one after another.
        inner: infos of its course, where a step is a decision.
        acted: what an actor did.
    """

    rewards: Float[Tensor, " num_envs"]
    ended: np.ndarray
    due: np.ndarray
    observed: Observations | None = None
    validations: list[Validation] = field(default_factory=list)
    inner: dict[str, Tensor] = field(default_factory=dict)
    acted: Acted | None = None

    @classmethod
    def nothing(cls, num_envs: int, device: torch.device) -> "Played":
        """Before anything is played."""
        rewards = torch.zeros(num_envs, dtype=torch.float32, device=device)
        none = np.zeros(num_envs, dtype=bool)
        return cls(rewards, none, none.copy())

    def take(self, part: "Played", rows: np.ndarray) -> None:
        """Take in what the runs `rows` (indices) have played on their own."""
        on_device = torch.from_numpy(rows).to(self.rewards.device)
        self.rewards.index_copy_(0, on_device, part.rewards)
        self.ended[rows] = part.ended
        self.due[rows] = part.due
        for validation in part.validations:
            due = np.zeros(len(self.due), dtype=bool)
            due[rows] = validation.due
            spread = [_spread(each, on_device, len(due)) for each in validation[1:]]
            self.validations.append(Validation(due, *spread))


def joined(parts: Sequence[Played]) -> Played:
    """What blocks of runs have played, each up to the same update, as that of all of them."""
    rewards = torch.cat([part.rewards for part in parts])
    ended = np.concatenate([part.ended for part in parts])
    whole = Played(rewards, ended, np.concatenate([part.due for part in parts]))
    observed = [part.observed for part in parts if part.observed is not None]
    if len(observed) == len(parts):
        whole.observed = _joined_observations(observed)
    for validations in zip_longest(*(part.validations for part in parts)):
        whole.validations.append(_joined_validations(validations, parts))
    acted = [part.acted for part in parts if part.acted is not None]
    if acted:
        observations = zip(*(each.observations for each in acted), strict=True)
        actions = zip(*(each.actions for each in acted), strict=True)
        whole.acted = Acted(tuple(map(torch.cat, observations)), tuple(map(torch.cat, actions)))
    return whole


def _joined_observations(
    parts: Sequence[tuple[Tensor, Tensor | None]],
) -> tuple[Tensor, Tensor | None]:
    clipped = [counts for _, counts in parts if counts is not None]
    return torch.cat([features for features, _ in parts]), torch.cat(clipped) if clipped else None


def _joined_validations(
    validations: Sequence[Validation | None], parts: Sequence[Played]
) -> Validation:
    """One validation of each block; none of a block whose runs had all ended before."""
    width = next(each.metrics.shape[1] for each in validations if each)
    whole = []
    for validation, part in zip(validations, parts, strict=True):
        metrics = part.rewards.new_zeros(len(part.due), width)
        none = Validation(np.zeros_like(part.due), torch.zeros_like(part.rewards), metrics)
        whole.append(validation or none)
    return Validation(
        np.concatenate([each.due for each in whole]),
        torch.cat([each.rewards for each in whole]),
        torch.cat([each.metrics for each in whole]),
    )


def _spread(values: Tensor, rows: Tensor, num_envs: int) -> Tensor:
    """The values of some runs in their rows, and 0 in those of the others."""
    return values.new_zeros(num_envs, *values.shape[1:]).index_copy(0, rows, values)
