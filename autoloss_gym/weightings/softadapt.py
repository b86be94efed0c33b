"""SoftAdapt: loss weights from the recent rate of change of each loss."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_TINY = 1e-8


@dataclass
class SoftAdapt:
    """Softmax weights of the losses' slopes (Heydari, Thompson, Mehmood: arXiv 1912.12355).

    α_k = exp(β s_k) / Σ_l exp(β s_l), where s_k is the difference of the last two known values of loss k. With
    `loss_weighted` each term is multiplied by the loss itself; with `normalized` the slopes are divided by Σ_l |s_l|.
    The weights are equal until every loss has been seen twice, and wherever they would not be finite.

    Args:
        beta: positive favours the loss that falls slowest, negative the one that falls fastest.
        normalized: divide the slopes by their L1 norm.
        loss_weighted: multiply by the loss, which must not be negative.
    """

    beta: float = 0.1
    normalized: bool = False
    loss_weighted: bool = False
    _latest: Tensor | None = field(default=None, init=False, repr=False)
    _previous: Tensor | None = field(default=None, init=False, repr=False)
    _seen: Tensor | None = field(default=None, init=False, repr=False)

    def reset(self, runs: Bool[Tensor, " num_envs"] | None = None) -> None:
        """Forget the losses of all runs, or of those where the mask `runs` is true."""
        if runs is None or self._seen is None:
            self._latest = self._previous = self._seen = None
        else:
            self._seen = torch.where(runs[:, None], 0, self._seen)

    def update(
        self,
        losses: Float[Tensor, "num_envs losses"],
        refreshed: Bool[Tensor, "num_envs losses"] | None = None,
    ) -> Float[Tensor, "num_envs losses"]:
        """Take in the losses and return the weights, which sum to 1 in every run.

        Args:
            losses: values; no gradient flows through them.
            refreshed: which of them were measured anew (default: all); a slope uses the last two measured values.
        """
        losses = losses.detach()
        if self._latest is None or self._previous is None or self._seen is None:
            self._latest, self._previous, self._seen = losses, losses, torch.zeros_like(losses, dtype=torch.int64)
        refreshed = torch.ones_like(losses, dtype=torch.bool) if refreshed is None else refreshed
        self._previous = torch.where(refreshed, self._latest, self._previous)
        self._latest = torch.where(refreshed, losses, self._latest)
        self._seen = self._seen + refreshed
        slopes = self._latest - self._previous
        if self.normalized:
            slopes = slopes / (slopes.abs().sum(dim=1, keepdim=True) + _TINY)
        exponents = self.beta * slopes
        weights = torch.exp(exponents - exponents.amax(dim=1, keepdim=True))
        if self.loss_weighted:
            weights = weights * self._latest.clamp(min=0)
        weights = weights / weights.sum(dim=1, keepdim=True)
        known = torch.isfinite(weights) & (self._seen >= 2)
        return torch.where(known.all(dim=1, keepdim=True), weights, 1 / losses.shape[1])
