"""Returns, lengths and final figures of episodes, gathered on the device."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..training_log import EPISODE_FIGURES


@dataclass(frozen=True)
class Ended:
    """Episodes that have ended, as arrays of the host, float64.

    Args:
        returns: sums of their rewards, (episodes,).
        lengths: their steps, (episodes,).
        figures: the means of `EPISODE_FIGURES`, by name.
        shares: the mean share of each pair, (pairs,).
    """

    returns: np.ndarray
    lengths: np.ndarray
    figures: dict[str, float]
    shares: np.ndarray


class Episodes:
    """Follows the episodes of all runs, and hands over those that have ended.

    Attributes:
        returns: sums of rewards so far, float64, (num_envs,).
        lengths: steps so far, int64, (num_envs,).
    """

    def __init__(self, num_envs: int, device: torch.device) -> None:
        self.returns = torch.zeros(num_envs, dtype=torch.float64, device=device)
        self.lengths = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self._ended: list[Tensor] = []

    def add(self, rewards: Tensor, ended: Tensor, infos: Mapping[str, Any], steps: int) -> None:
        """Count steps of all runs, the last of which has brought all this."""
        self.returns = self.returns + rewards
        self.lengths = self.lengths + steps
        if "final_info" not in infos:  # known on the host: no run has ended
            return
        final = infos["final_info"]
        columns = [ended, self.returns, self.lengths, *(final[name] for name in EPISODE_FIGURES)]
        figures = torch.stack([each.double() for each in columns], dim=1)
        self._ended.append(torch.cat([figures, final["pair_shares"].double()], dim=1))
        self.returns = self.returns.masked_fill(ended, 0)
        self.lengths = self.lengths.masked_fill(ended, 0)

    def take(self) -> Ended | None:
        """The episodes that have ended since the last call, in one copy to the host; None where
        none has.
        """
        if not self._ended:
            return None
        rows = torch.cat(self._ended).cpu().numpy()
        self._ended = []
        of_ended = rows[rows[:, 0] == 1, 1:]
        returns, lengths = of_ended[:, 0], of_ended[:, 1]
        means = of_ended[:, 2:].mean(axis=0)
        count = len(EPISODE_FIGURES)
        figures = dict(zip(EPISODE_FIGURES, means[:count].tolist(), strict=True))
        return Ended(returns, lengths, figures, means[count:])
