"""What a loss-weighting rule is: measured losses in, weights out, for one model or for a batch of
runs.
"""

import functools
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from autoloss_gym.tools import tree
from autoloss_gym.weightings.measurements import Measurements, Values, as_batch, as_mask, as_tensor

Scale = Literal["sum", "count"] | None


@dataclass(kw_only=True)
class WeightingRule(ABC):
    """Loss weights for any training loop, from the losses that it measures.

        weights = rule.update(losses)
        sum(weight * loss for weight, loss in zip(weights, losses)).backward()

    A rule holds the history of one model, or of `num_envs` runs that share nothing. No gradient
    flows through the weights, and no graph is kept alive.

    A run some of whose refreshed losses (or gradient norms, where the rule needs them) are not
    finite gets equal weights, or the prior, and those values are left out of its history. The first
    time, a warning says so: at once on the CPU, elsewhere when the rule is next reset or saved,
    because to look earlier the host would have to wait for the device. Weights that could not be
    represented are equal, or the prior, as well.

    Args:
        prior: factors (at least 0) that multiply the weights and so are never forgotten, one for
            each loss; default: none.
        scale: "sum" for weights that sum to 1, "count" to the number of losses, None for those of
            the rule's formula.
        every: the weights of the first call are kept until so many calls later, and so on. Losses
            count at every call.
    """

    reads_losses: ClassVar[bool] = True  # False where only the number of losses matters
    needs_gradient_norms: ClassVar[bool] = False

    prior: Sequence[float | int] | None = None
    scale: Scale = "sum"
    every: int = 1
    _state: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    _failed: Tensor | None = field(default=None, init=False, repr=False, compare=False)
    _warned: bool = field(default=False, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.scale not in ("sum", "count", None):
            raise ValueError(f"scale={self.scale!r}: expected 'sum', 'count' or None")
        if self.every < 1:
            raise ValueError(f"every={self.every}: expected at least 1 call")
        if self.prior is not None:
            self.prior = positive_weights("prior", self.prior)

    @abstractmethod
    def _start(self, losses: Float[Tensor, "num_envs losses"]) -> dict[str, Any]:
        """State before the first call, a tree of tensors (num_envs, …); of `losses` only shape,
        dtype and device matter.
        """

    @abstractmethod
    def _weigh(
        self, state: dict[str, Any], measured: Measurements
    ) -> Float[Tensor, "num_envs losses"]:
        """The weights, before prior and scale; NaN where they are unknown. Writes into `state`,
        also `keys` and `calls`.
        """

    def update(
        self, losses: Values, refreshed: Values | None = None, gradient_norms: Values | None = None
    ) -> Float[Tensor, "*num_envs losses"]:
        """Take in the losses and return their weights.

        Args:
            losses: n scalars (tensors or numbers) or a tensor (n,); (num_envs, n) for a batch of
                runs.
            refreshed: bool, of the same shape: which losses were measured anew (default: all). The
                others are ignored.
            gradient_norms: of each unweighted loss by the parameters that all share, of the same
                shape, for rules that need them.

        Returns:
            Weights of the shape, device and floating-point dtype of `losses`.
        """
        with torch.no_grad():
            weights = self._update(as_tensor("losses", losses), refreshed, gradient_norms)
        if weights.device.type == "cpu":
            self._warn()
        return weights

    def _update(
        self, given: Tensor, refreshed: Values | None, gradient_norms: Values | None
    ) -> Tensor:
        measured, failed = self._measured(given, refreshed, gradient_norms)
        state = self._state
        weights = self._scaled(self._weigh(state, measured), failed)
        if self.every > 1:
            due = state["calls"] % self.every == 0
            due = due if failed is None else due | failed
            weights = torch.where(due[:, None], weights, state["weights"])
        state["calls"].add_(1)
        state["weights"] = weights
        weights = weights.to(given.dtype if given.is_floating_point() else weights.dtype, copy=True)
        return weights if given.dim() == 2 else weights[0]

    def reset(
        self,
        runs: Bool[Tensor, " num_envs"] | None = None,
        keys: Int64[Tensor, " num_envs"] | None = None,
    ) -> None:
        """Forget all, or the runs where the mask `runs` is true.

        Args:
            runs: default: all, of which there may then be another number.
            keys: what the random draws of each run follow from; default: the run's number, or the
                key that it had where `runs` are given.
        """
        self._warn()
        if runs is None:
            self._state = {} if keys is None else {"keys": keys}
        elif "weights" in self._state:
            weights = self._state["weights"]
            if runs.shape != weights.shape[:1]:
                raise ValueError(
                    f"runs of shape {tuple(runs.shape)}: expected ({len(weights)},), one for each run"
                )
            fresh = self._fresh(weights, self._state["keys"] if keys is None else keys)
            self._state = tree.where(runs.to(weights.device), fresh, self._state)

    def state_dict(self) -> dict[str, Any]:
        """Copies of all that was learned, tensors in nested dicts; the arguments of the rule are
        not among them.
        """
        self._warn()
        return tree.clone(self._state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave; ValueError if that was a rule of another kind or with
        other arguments.
        """
        if "weights" in state and isinstance(state["weights"], Tensor):
            expected = self._fresh(
                state["weights"], torch.zeros(len(state["weights"]), dtype=torch.int64)
            )
        else:
            expected = {"keys": state["keys"]} if "keys" in state else {}
        if _shapes(state) != _shapes(expected):
            name = type(self).__name__
            raise ValueError(
                f"state of {_shapes(state)}: expected {_shapes(expected)}, from a {name} with the same arguments"
            )
        self._state = tree.clone(state)

    def _measured(
        self, given: Tensor, refreshed: Values | None, gradient_norms: Values | None
    ) -> tuple[Measurements, Bool[Tensor, " num_envs"] | None]:
        """What the rule is told, and the runs in which some of that is not finite and left out;
        None where all is.
        """
        values = self._begin(given if given.dim() == 2 else given[None])
        mask = (
            _everything(values.shape, values.device)
            if refreshed is None
            else as_mask("refreshed", refreshed, values)
        )
        norms = self._norms(gradient_norms, values) if self.needs_gradient_norms else values
        if not self.reads_losses or (
            _known_to_be_finite(values) and (norms is values or _known_to_be_finite(norms))
        ):
            return Measurements(losses=values, refreshed=mask, gradient_norms=norms), None
        finite = torch.isfinite(values) & torch.isfinite(norms)
        failed = (mask & ~finite).any(dim=1)
        self._failed = failed.any() if self._failed is None else self._failed | failed.any()
        return Measurements(losses=values, refreshed=mask & finite, gradient_norms=norms), failed

    def _norms(
        self, gradient_norms: Values | None, values: Tensor
    ) -> Float[Tensor, "num_envs losses"]:
        if gradient_norms is None:
            raise ValueError(
                f"gradient_norms=None: expected the norm of each loss's gradient, which {type(self).__name__} needs; "
                "give update(losses, gradient_norms=…)"
            )
        return as_batch("gradient_norms", gradient_norms, values).to(values.dtype)

    def _begin(self, values: Tensor) -> Tensor:
        """`values` in the dtype of the state, which is begun with the first call and follows the
        losses' device.
        """
        if "weights" not in self._state:
            values = values.to(torch.promote_types(values.dtype, torch.float32))
            own = torch.arange(len(values), device=values.device)
            self._state = self._fresh(values, self._state.get("keys", own).to(values.device))
        state = self._state["weights"]
        if state.shape != values.shape:
            raise ValueError(
                f"losses of shape {tuple(values.shape)}: expected {tuple(state.shape)} as before; reset() begins anew"
            )
        if state.device != values.device:
            self._state = tree.map_tensors(lambda leaf: leaf.to(values.device), self._state)
        return values.to(state.dtype)

    def _fresh(
        self, losses: Float[Tensor, "num_envs losses"], keys: Int64[Tensor, " num_envs"]
    ) -> dict[str, Any]:
        if keys.shape != losses.shape[:1]:
            raise ValueError(
                f"keys of shape {tuple(keys.shape)}: expected ({len(losses)},), one for each run"
            )
        if self.prior is not None and len(self.prior) != losses.shape[1]:
            raise ValueError(
                f"prior={self.prior}: expected {losses.shape[1]} numbers, one for each loss"
            )
        base = {
            "keys": keys.clone(),
            "calls": torch.zeros_like(keys),
            "weights": self._default(losses).expand_as(losses),
        }
        return tree.clone(base) | self._start(losses)

    def _scaled(
        self, weights: Float[Tensor, "num_envs losses"], failed: Bool[Tensor, " num_envs"] | None
    ) -> Float[Tensor, "num_envs losses"]:
        """The weights times the prior, with the sum that `scale` asks for; the default where that
        cannot be.
        """
        if self.prior is not None:
            weights = weights * row(tuple(self.prior), weights.device, weights.dtype)
        total = weights.sum(dim=1, keepdim=True)
        if self.scale is not None:
            weights = weights / (total if self.scale == "sum" else total / weights.shape[1])
        if failed is None and _known_to_be_positive(total):
            return weights
        sound = (total > 0) & (total < math.inf)
        sound = sound if failed is None else sound & ~failed[:, None]
        return torch.where(sound, weights, self._default(weights))

    def _default(self, like: Float[Tensor, "num_envs losses"]) -> Float[Tensor, "1 losses"]:
        """What a run gets where nothing is known: the prior, or equal weights."""
        count = like.shape[1]
        numbers = [1 / count] * count if self.prior is None else list(self.prior)
        total = {"sum": 1.0, "count": float(count), None: math.fsum(numbers)}[self.scale]
        return row(
            tuple(number * (total / math.fsum(numbers)) for number in numbers),
            like.device,
            like.dtype,
        )

    def _warn(self) -> None:
        """Say once that some run met numbers that are not finite, if any has since this was last
        asked.
        """
        if self._failed is not None and not self._warned and bool(self._failed):
            self._warned = True
            warnings.warn(
                f"{type(self).__name__}: losses or gradient norms of some run are not finite; such a run gets "
                f"{'equal weights' if self.prior is None else 'the prior'} (this is said once)",
                RuntimeWarning,
                stacklevel=3,
            )
        self._failed = None


@functools.lru_cache(maxsize=64)
def row(
    numbers: tuple[float, ...], device: torch.device, dtype: torch.dtype
) -> Float[Tensor, "1 losses"]:
    """The numbers as a tensor that broadcasts over runs; it is shared, nobody may write into it."""
    return torch.tensor([numbers], device=device, dtype=dtype)


def positive_weights(name: str, weights: Sequence[float | int]) -> tuple[float, ...]:
    """`weights` as a tuple of finite numbers of at least 0, not all 0."""
    numbers = tuple(map(float, weights))
    if not all(0 <= number < math.inf for number in numbers) or not any(numbers):
        raise ValueError(
            f"{name}={numbers}: expected finite numbers of at least 0, not all 0, one for each loss"
        )
    return numbers


@functools.lru_cache(maxsize=64)
def _everything(shape: torch.Size, device: torch.device) -> Bool[Tensor, "num_envs losses"]:
    """A mask that is true everywhere; it is shared, nobody may write into it."""
    return torch.ones(shape, dtype=torch.bool, device=device)


def _known_to_be_finite(values: Tensor) -> bool:
    """Whether all values are finite, as far as one operation tells without waiting for a device."""
    return values.device.type == "cpu" and math.isfinite(values.sum().item())


def _known_to_be_positive(values: Tensor) -> bool:
    """Whether all values are positive and finite, as far as this can be asked without waiting for a
    device.
    """
    if values.device.type != "cpu":
        return False
    least, greatest = torch.aminmax(values)
    return least.item() > 0 and greatest.item() < math.inf


def _shapes(state: Any) -> Any:
    """Names and shapes of a state, without the number of runs; None for what is no tensor."""
    if isinstance(state, dict):
        return {name: _shapes(part) for name, part in state.items()}
    return tuple(state.shape[1:]) if isinstance(state, Tensor) else None
