"""Self-adaptive weights: weights that grow where a loss stays large."""

from dataclasses import KW_ONLY, dataclass, field
from operator import mul
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.optimizers import Adam, Optimizer
from autoloss_gym.tools.bounds import Bounds
from autoloss_gym.weightings.learned import descend_each, descend_each_one, start_each
from autoloss_gym.weightings.measurements import Measurements
from autoloss_gym.weightings.rule import WeightingRule
from autoloss_gym.weightings.scaling import Scale
from autoloss_gym.weightings.single import Numbers, Single

_LARGEST = 1e9  # of λ: its fourth power must not overflow
_WIDEST = 30.0  # of |λ| with the sigmoid, which is flat beyond
Power = Annotated[int, Bounds("a whole number from 1 to 4", least=1, below=5)]


@dataclass
class SelfAdaptiveWeights(WeightingRule):
    """w_k = m(λ_k) with λ learned by gradient ascent on Σ_k m(λ_k) L_k.

    The model descends this sum, the weights ascend it: the more, the larger a loss is. The mask m
    is λ^q, with λ at least 0 and 1 at the start, or the sigmoid 1 / (1 + exp(−λ)), with λ within
    ±30 and 0 at the start. A call returns the weights before its step. λ moves only where a loss
    was refreshed; a loss of at least 0 never loses weight.

    Adam makes steps of about its learning rate whatever the size of a loss; with plain gradient
    ascent, `SGD`, a loss that is twice as large gains twice as much.

    In the paper every point of a loss has a weight of its own. Such weights belong inside a loss,
    which knows its points; this rule has one for each loss.

    Source: McClenny, Braga-Neto: "Self-adaptive physics-informed neural networks", Journal of
    Computational Physics 474, 2023.

    Args:
        optimizer: optimizer of λ; Adam with the learning rate of the authors' code by default.
        power: q, 1 to 4. Their code multiplies residuals by λ before it squares them, which is 2.
        mask: "polynomial" for λ^q or "sigmoid", whose weights stay below 1.
        scale: None (default) leaves the weights as they are.
        prior, every, reduce: see `WeightingRule`.
    """

    negative_losses: ClassVar[str] = "its weight falls"

    optimizer: Optimizer = field(default_factory=lambda: Adam(learning_rate=5e-3))
    _: KW_ONLY
    power: Power = 2
    mask: Literal["polynomial", "sigmoid"] = "polynomial"
    scale: Scale = None

    def _start(self, losses: Float[Tensor, "num_envs losses"]) -> dict[str, Any]:
        starts = torch.zeros_like if self.mask == "sigmoid" else torch.ones_like
        return {"learned": starts(losses), "optimizer": start_each(self.optimizer, losses)}

    def _weigh(
        self, state: dict[str, Any], measured: Measurements
    ) -> Float[Tensor, "num_envs losses"]:
        learned = state["learned"]
        weights, slopes = self._masked(learned)
        gradients = -(slopes * measured.losses)  # uphill
        descend_each(self.optimizer, learned, gradients, state["optimizer"], measured.refreshed)
        learned.clamp_(*self._range)
        return weights

    @property
    def _range(self) -> tuple[float, float]:
        return (-_WIDEST, _WIDEST) if self.mask == "sigmoid" else (0.0, _LARGEST)

    def _masked(
        self, learned: Float[Tensor, "num_envs losses"]
    ) -> tuple[Float[Tensor, "num_envs losses"], Float[Tensor, "num_envs losses"]]:
        """The mask and its derivative."""
        if self.mask == "sigmoid":
            weights = 1 / (1 + torch.exp(-learned))
            return weights, weights * (1 - weights)
        below = torch.ones_like(learned)
        for _ in range(self.power - 1):  # no pow, whose bits depend on the batch
            below = below * learned
        return below * learned, self.power * below

    def _weigh_one(self, single: Single) -> Numbers | None:
        optimizer, learned = self.optimizer, single.state["learned"]
        if type(optimizer) is not Adam:
            return None
        weights, slopes = self._masked_one(single, learned)
        gradients = [-product for product in single.each(mul, slopes, single.losses)]
        kept = single.state["optimizer"]
        moved, kept = descend_each_one(optimizer, single, learned, gradients, kept)
        least, most = self._range
        single.state["learned"] = [min(max(each, least), most) for each in moved]
        single.state["optimizer"] = kept
        return weights

    def _masked_one(self, single: Single, learned: Numbers) -> tuple[Numbers, Numbers]:
        if self.mask == "sigmoid":
            terms = single.tensor([-each for each in learned]).exp_().tolist()
            weights = single.rounded([1 / term for term in single.rounded(1 + t for t in terms)])
            rests = single.rounded([1 - weight for weight in weights])
            return weights, single.each(mul, weights, rests)
        below = [1.0] * len(learned)
        for _ in range(self.power - 1):
            below = single.each(mul, below, learned)
        return single.each(mul, below, learned), single.each(mul, below, float(self.power))
