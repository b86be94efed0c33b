"""FAMO: weights under which all losses fall at comparable rates, from the losses alone."""

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from operator import add, mul, sub
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.optimizers import Adam, Optimizer
from autoloss_gym.tools.bounds import NonNegativeFloat
from autoloss_gym.weightings.boundary.arguments import finite_numbers
from autoloss_gym.weightings.learned import descend, descend_row_one
from autoloss_gym.weightings.measurements import Measurements
from autoloss_gym.weightings.rule import WeightingRule
from autoloss_gym.weightings.scaling import row
from autoloss_gym.weightings.single import Numbers, Single

_LEAST = 1e-8  # of a loss above its lower bound: less counts as this, else its weight would be all


@dataclass
class FAMO(WeightingRule):
    """w_k = c z_k / (L_k − b_k) with learned z = softmax(ξ) and c = 1 / Σ_l z_l / (L_l − b_l).

    With these weights the gradient step is one on Σ_k z_k log(L_k − b_k), up to the factor c. After
    it, ξ takes an optimizer's step that favours the losses whose logarithm fell least: with
    δ_k = log(L_k − b_k) before the update − after it, and a decay γ, the gradient is

        z_k (δ_k − Σ_l z_l δ_l) + γ ξ_k.

    The losses of the next call stand for those after the update. That is exact where all losses are
    taken on the same data; on batches, δ also has their noise. A loss that was not refreshed counts
    as one that did not change. The weights are equal until every loss was measured once.

    Losses must be above b; what is less than 1e-8 above it counts as that much.

    Source: Liu, Feng, Stone, Liu: "FAMO: fast adaptive multitask optimization", NeurIPS 2023,
    Algorithm 1.

    Args:
        decay: γ, which pulls the weights of the logarithms together; 0.01 as in the authors' code.
        optimizer: optimizer of ξ; Adam with the authors' learning rate by default.
        lower_bounds: b, one for each loss. Default: 0 each.
        prior, scale, every, reduce: see `WeightingRule`.
    """

    decay: NonNegativeFloat = 0.01
    _: KW_ONLY
    optimizer: Optimizer = field(default_factory=lambda: Adam(learning_rate=0.025))
    lower_bounds: Sequence[float | int] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lower_bounds is not None:
            self.lower_bounds = finite_numbers("lower_bounds", self.lower_bounds)

    def _start(self, losses: Float[Tensor, "num_envs losses"]) -> dict[str, Any]:
        count, bounds = losses.shape[1], self.lower_bounds
        if bounds is not None and len(bounds) != count:
            raise ValueError(f"lower_bounds={bounds}: expected {count} numbers, one for each loss")
        logits = torch.zeros_like(losses)
        return {
            "logits": logits,
            "optimizer": self.optimizer.init(logits),
            "logs": torch.full_like(losses, math.nan),  # of L − b, not yet measured
        }

    def _weigh(
        self, state: dict[str, Any], measured: Measurements
    ) -> Float[Tensor, "num_envs losses"]:
        values = measured.losses
        if self.lower_bounds is not None:
            values = values - row(tuple(self.lower_bounds), values.device, values.dtype)
        self._note_losses_at_bound(((values < _LEAST) & measured.refreshed).any())
        new_logs = torch.log(values.clamp(min=_LEAST))

        logits, logs = state["logits"], state["logs"]
        changed = measured.refreshed & torch.isfinite(logs)
        falls = torch.where(changed, logs - new_logs, 0.0)
        shares = torch.softmax(logits, dim=1)
        mean_fall = (shares * falls).sum(dim=1, keepdim=True)
        gradients = shares * (falls - mean_fall) + self.decay * logits
        descend(self.optimizer, logits, gradients, state["optimizer"], changed.any(dim=1))

        state["logs"] = torch.where(measured.refreshed, new_logs, logs)
        # z / (L − b) in logarithms: quotients of huge or tiny losses would under- or overflow.
        return torch.softmax(logits - state["logs"], dim=1)

    def _note_losses_at_bound(self, met: Tensor | bool) -> None:
        bound = "0" if self.lower_bounds is None else "its lower bound"
        self._notices.note(
            f"FAMO: a loss is less than 1e-8 above {bound}, and counts as that much; its weight is "
            "then nearly all",
            met,
        )

    def _weigh_one(self, single: Single) -> Numbers | None:
        state, optimizer, above = single.state, self.optimizer, single.losses
        if self.lower_bounds is not None:
            above = single.each(sub, above, single.rounded(self.lower_bounds))
        if type(optimizer) is not Adam or not all(map(math.isfinite, state["logs"])):
            return None
        least = single.number(_LEAST)
        if min(above) < least:
            self._note_losses_at_bound(True)
            above = [max(value, least) for value in above]
        logs = single.tensor(above).log_().tolist()
        falls = single.each(sub, state["logs"], logs)

        logits, kept = state["logits"], state["optimizer"]
        shares = torch.softmax(single.tensor(logits), dim=0).tolist()
        mean_fall = single.total(single.each(mul, shares, falls))
        gradients = single.each(mul, shares, single.each(sub, falls, mean_fall))
        decays = single.each(mul, logits, single.number(self.decay))
        gradients = single.each(add, gradients, decays)
        logits, kept = descend_row_one(optimizer, single, logits, gradients, kept)
        state["logits"], state["optimizer"], state["logs"] = logits, kept, logs
        return torch.softmax(single.tensor(single.each(sub, logits, logs)), dim=0).tolist()
