"""Loss-weighting rules: measured losses in, weights out, for one model or a batch of runs."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from autoloss_gym.tools import tree
from autoloss_gym.weightings.measurements import (
    Measurements,
    Values,
    as_batch,
    as_mask,
    as_tensor,
    known_to_be_finite,
)
from autoloss_gym.weightings.scaling import Scale, default_weights, positive_weights, scaled


@dataclass(kw_only=True)
class WeightingRule(ABC):
    """Loss weights for any training loop, from the losses that it measures.

        weights = rule.update(losses)
        sum(weight * loss for weight, loss in zip(weights, losses)).backward()

    A rule holds the history of one model, or of `num_envs` runs that share nothing. No gradient
    flows through the weights, and no graph is kept alive.

    If some refreshed losses of a run (or gradient norms, where the rule needs them) are not finite,
    the run gets equal weights, or the prior, and those values are left out of its history. The
    first time, a warning says so: at once on the CPU; elsewhere when the rule is next reset or
    saved, because looking earlier would make the host wait for the device. Weights that overflow
    are replaced by equal weights, or the prior, as well.

    Args:
        prior: factors of at least 0, one for each loss, that multiply the weights at every call.
            Default: none.
        scale: "sum" for weights that sum to 1, "count" for weights that sum to the number of
            losses, None for those of the rule's formula.
        every: number of calls for which weights are kept; the first call gives new ones. Losses
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
        """State before the first call: a tree of tensors (num_envs, …).

        Only shape, dtype and device of `losses` matter.
        """

    @abstractmethod
    def _weigh(
        self, state: dict[str, Any], measured: Measurements
    ) -> Float[Tensor, "num_envs losses"]:
        """The weights before prior and scale, NaN where they are unknown.

        Writes what it learns into `state`, which also holds `keys` and `calls` of each run.
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
            gradient_norms: of each unweighted loss by the parameters that all losses share, of the
                same shape, for rules that need them.

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
        weights = scaled(self._weigh(state, measured), failed, self._prior, self.scale)

        if self.every > 1:
            due = state["calls"] % self.every == 0
            if failed is not None:
                due = due | failed
            weights = torch.where(due[:, None], weights, state["weights"])
        state["calls"].add_(1)
        state["weights"] = weights

        dtype = given.dtype if given.is_floating_point() else weights.dtype
        weights = weights.to(dtype, copy=True)  # the caller may write into what is returned
        return weights if given.dim() == 2 else weights[0]

    def reset(
        self,
        runs: Bool[Tensor, " num_envs"] | None = None,
        keys: Int64[Tensor, " num_envs"] | None = None,
    ) -> None:
        """Forget everything, or the runs where the mask `runs` is true.

        Args:
            runs: runs to forget. Default: all, and the next call may bring another number of them.
            keys: source of each run's random draws. Default: the number of the run, or, where
                `runs` is given, the key that it had.
        """
        self._warn()
        if runs is None:
            self._state = {} if keys is None else {"keys": keys}
        elif "weights" in self._state:
            weights = self._state["weights"]
            if runs.shape != weights.shape[:1]:
                shape, count = tuple(runs.shape), len(weights)
                raise ValueError(f"runs of shape {shape}: expected ({count},), one for each run")
            fresh = self._fresh(weights, self._state["keys"] if keys is None else keys)
            self._state = tree.where(runs.to(weights.device), fresh, self._state)

    def state_dict(self) -> dict[str, Any]:
        """Copies of all that was learned, tensors in nested dicts; the arguments are not in it."""
        self._warn()
        return tree.clone(self._state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the result of `state_dict`.

        Raises:
            ValueError: the state is that of a rule of another kind or with other arguments.
        """
        if "weights" in state and isinstance(state["weights"], Tensor):
            keys = torch.zeros(len(state["weights"]), dtype=torch.int64, device="cpu")
            expected = self._fresh(state["weights"], keys)
        else:
            expected = {"keys": state["keys"]} if "keys" in state else {}
        if _shapes(state) != _shapes(expected):
            raise ValueError(
                f"state of {_shapes(state)}: expected {_shapes(expected)}, "
                f"from a {type(self).__name__} with the same arguments"
            )
        self._state = tree.clone(state)

    def _measured(
        self, given: Tensor, refreshed: Values | None, gradient_norms: Values | None
    ) -> tuple[Measurements, Bool[Tensor, " num_envs"] | None]:
        """Measurements for `_weigh`, and the runs with values that are not finite.

        Those values count as not refreshed. The runs are None where all values are known to be
        finite, which on the CPU is one cheap question in place of several operations.
        """
        values = self._begin(given if given.dim() == 2 else given[None])
        mask = as_mask("refreshed", refreshed, values)
        norms, read = values, [values]
        if self.needs_gradient_norms:
            norms = self._norms(gradient_norms, values)
            read.append(norms)

        if not self.reads_losses or all(map(known_to_be_finite, read)):
            return Measurements(losses=values, refreshed=mask, gradient_norms=norms), None

        finite = torch.isfinite(values) & torch.isfinite(norms)
        failed = (mask & ~finite).any(dim=1)
        any_failed = failed.any()
        self._failed = any_failed if self._failed is None else self._failed | any_failed
        return Measurements(losses=values, refreshed=mask & finite, gradient_norms=norms), failed

    def _norms(
        self, gradient_norms: Values | None, values: Tensor
    ) -> Float[Tensor, "num_envs losses"]:
        if gradient_norms is None:
            raise ValueError(
                "gradient_norms=None: expected the norm of each loss's gradient, which "
                f"{type(self).__name__} needs; give update(losses, gradient_norms=…)"
            )
        return as_batch("gradient_norms", gradient_norms, values).to(values.dtype)

    def _begin(self, values: Tensor) -> Tensor:
        """`values` in the dtype of the state, which is made if need be and follows the device."""
        if "weights" not in self._state:
            values = values.to(torch.promote_types(values.dtype, torch.float32))
            numbers = torch.arange(len(values), dtype=torch.int64, device=values.device)
            keys = self._state.get("keys", numbers).to(values.device)
            self._state = self._fresh(values, keys)
        state = self._state["weights"]
        if state.shape != values.shape:
            raise ValueError(
                f"losses of shape {tuple(values.shape)}: "
                f"expected {tuple(state.shape)} as before; reset() begins anew"
            )
        if state.device != values.device:
            self._state = tree.map_tensors(lambda leaf: leaf.to(values.device), self._state)
        return values.to(state.dtype)

    def _fresh(
        self, losses: Float[Tensor, "num_envs losses"], keys: Int64[Tensor, " num_envs"]
    ) -> dict[str, Any]:
        runs, count = losses.shape
        if (shape := tuple(keys.shape)) != (runs,):
            raise ValueError(f"keys of shape {shape}: expected ({runs},), one for each run")
        if self.prior is not None and len(self.prior) != count:
            raise ValueError(f"prior={self.prior}: expected {count} numbers, one for each loss")
        base = {
            "keys": keys.clone(),
            "calls": torch.zeros_like(keys),
            "weights": default_weights(losses, self._prior, self.scale).expand_as(losses),
        }
        return tree.clone(base) | self._start(losses)

    @property
    def _prior(self) -> tuple[float, ...] | None:
        """The prior as constants are cached by; assigned after construction, it may be a list."""
        return None if self.prior is None else tuple(self.prior)

    def _warn(self) -> None:
        """Warn, once in the rule's life, if a run has met numbers that are not finite."""
        if self._failed is not None and not self._warned and bool(self._failed):
            self._warned = True
            replacement = "equal weights" if self.prior is None else "the prior"
            warnings.warn(
                f"{type(self).__name__}: losses or gradient norms of some run are not finite; "
                f"such a run gets {replacement} (this warning appears once)",
                RuntimeWarning,
                stacklevel=3,
            )
        self._failed = None


def _shapes(state: Any) -> Any:
    """Names and shapes of a state without the number of runs; None for what is not a tensor."""
    if isinstance(state, dict):
        return {name: _shapes(part) for name, part in state.items()}
    return tuple(state.shape[1:]) if isinstance(state, Tensor) else None
