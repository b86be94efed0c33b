"""Loss-weighting rules: measured losses in, weights out, for one model or a batch of runs."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar, overload

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from autoloss_gym.weightings.boundary.arguments import Count, check_arguments, factors
from autoloss_gym.weightings.boundary.losses import (
    Names,
    Values,
    as_batch,
    as_mask,
    as_tensor,
    names_of,
)
from autoloss_gym.weightings.boundary.notices import Notices, note_losses
from autoloss_gym.weightings.boundary.saving import pack, unpack
from autoloss_gym.weightings.measurements import Measurements, finite_ones
from autoloss_gym.weightings.runs import Runs
from autoloss_gym.weightings.scaling import Scale, default_weights, representable, scaled

Name = TypeVar("Name", bound=str | int)


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
    are replaced by equal weights, or the prior, as well. Rules that read no losses take any.

    Args:
        prior: factors of at least 0, one for each loss, that multiply the weights at every call.
            Default: none.
        scale: "sum" for weights that sum to 1, "count" for weights that sum to the number of
            losses, None for those of the rule's formula.
        every: number of calls for which weights are kept; the first call gives new ones. Losses
            count at every call, gradient norms at those that bring them (see
            `gradient_norms_due`).

    Raises:
        ValueError: an argument is of another type or out of its bounds.
    """

    reads_losses: ClassVar[bool] = True  # False where only the number of losses matters
    needs_gradient_norms: ClassVar[bool] = False
    negative_losses: ClassVar[str] = ""  # a warning of what they do, where the formula forbids them

    prior: Sequence[float | int] | None = None
    scale: Scale = "sum"
    every: Count = 1
    _runs: Runs = field(default_factory=Runs, init=False, repr=False, compare=False)
    _notices: Notices = field(default_factory=Notices, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_arguments(self)
        if self.prior is not None:
            self.prior = factors("prior", self.prior)

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

    @property
    def gradient_norms_due(self) -> bool:
        """Whether the next call needs `gradient_norms`; with `every`, only some calls do.

        norms = measure() if rule.gradient_norms_due else None
        weights = rule.update(losses, gradient_norms=norms)
        """
        return self.needs_gradient_norms and self._runs.due(self.every)

    @overload
    def update(
        self,
        losses: Mapping[Name, Any],
        refreshed: Mapping[Name, Any] | None = None,
        gradient_norms: Mapping[Name, Any] | None = None,
    ) -> dict[Name, Tensor]: ...

    @overload
    def update(
        self,
        losses: Tensor | np.ndarray | Iterable[Any],
        refreshed: Values | None = None,
        gradient_norms: Values | None = None,
    ) -> Tensor: ...

    def update(
        self, losses: Values, refreshed: Values | None = None, gradient_norms: Values | None = None
    ) -> Float[Tensor, "*num_envs losses"] | dict[Any, Float[Tensor, ""]]:
        """Take in the losses and return their weights; `rule(losses)` does the same.

        Args:
            losses: n scalars (tensors of one element, or numbers) in a list, a tuple, a generator
                or a dict, or as a tensor (n,); a tensor (num_envs, n) for a batch of runs.
            refreshed: bool, in the form of the losses: which of them were measured anew (default:
                all). The others are ignored.
            gradient_norms: in the form of the losses: of each unweighted loss by the parameters
                that all losses share. Rules that need them need them when `gradient_norms_due`;
                at other calls None means that nothing is learned from this call.

        Returns:
            Weights of the shape, device and floating-point dtype of `losses`, at most the greatest
            number of that dtype; for a dict of losses, scalars in a dict with the same keys.

        Raises:
            ValueError: a value is missing or no real number, or there are other names or another
                number of losses or runs than before. The call has then changed nothing.
        """
        if torch.is_inference_mode_enabled():  # what is kept must serve outside of it as well
            with torch.inference_mode(False):
                return self.update(losses, refreshed, gradient_norms)
        with torch.no_grad():
            names = None
            if isinstance(losses, Mapping):
                names = names_of(losses, self._runs.names)
            given = as_tensor("losses", losses, names)
            weights = self._update(given, names, refreshed, gradient_norms)
        self._notices.tell(wait=False)
        if names is None:
            return weights
        by_name = dict(zip(names, weights, strict=True))
        return {name: by_name[name] for name in losses}

    __call__ = update

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

        Raises:
            ValueError: the mask or the keys are of another type or number.
        """
        self._notices.tell(wait=True)
        self._runs.reset(runs, keys, self._fresh)

    def state_dict(self) -> dict[str, Any]:
        """Copies of all that was learned, with the rule's arguments.

        Returns:
            Plain values and, under "tensors", nested dicts of tensors, which `torch.load` reads
            with `weights_only=True`.
        """
        self._notices.tell(wait=True)
        return pack(self, self._runs)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the result of `state_dict`.

        Raises:
            ValueError: it is something else, or the state of another rule or of other arguments.
                The rule is then what it was.
        """
        self._runs = unpack(self, state, self._fresh)

    def _update(
        self,
        given: Tensor,
        names: Names | None,
        refreshed: Values | None,
        gradient_norms: Values | None,
    ) -> Tensor:
        values, state = self._runs.begin(given if given.dim() == 2 else given[None], self._fresh)
        mask = as_mask("refreshed", refreshed, values, names)
        norms = self._norms(gradient_norms, values, names)
        measured, failed = self._measured(values, mask, norms)
        weights = self._weigh(state, measured)
        if weights.shape != values.shape:
            raise ValueError(
                f"{type(self).__name__}._weigh gave weights of shape {tuple(weights.shape)}: "
                f"expected {tuple(values.shape)}"
            )
        weights = scaled(weights, failed, self.prior, self.scale)

        if self.every > 1:
            due = state["calls"] % self.every == 0
            if failed is not None:
                due = due | failed
            weights = torch.where(due[:, None], weights, state["weights"])
        state["weights"] = weights
        self._runs.commit(state, names)

        dtype = given.dtype if given.is_floating_point() else weights.dtype
        weights = representable(weights, dtype, self._notices)
        return weights if given.dim() == 2 else weights[0]

    def _norms(
        self, gradient_norms: Values | None, values: Tensor, names: Names | None
    ) -> Float[Tensor, "num_envs losses"] | None:
        """The norms that this call brings; None where it need not."""
        if not self.needs_gradient_norms:
            return None
        if gradient_norms is not None:
            return as_batch("gradient_norms", gradient_norms, values, names).to(values.dtype)
        if self.gradient_norms_due:
            raise ValueError(
                "gradient_norms=None: expected the norm of each loss's gradient, which "
                f"{type(self).__name__} needs where gradient_norms_due; give "
                "update(losses, gradient_norms=…)"
            )
        return None

    def _measured(
        self, values: Tensor, mask: Tensor, norms: Tensor | None
    ) -> tuple[Measurements, Bool[Tensor, " num_envs"] | None]:
        """Measurements for `_weigh`, and the runs with values that are not finite, if any."""
        measured = Measurements(
            losses=values, refreshed=mask, gradient_norms=values if norms is None else norms
        )
        failed, least = None, math.nan
        if self.reads_losses:
            measured, failed, least = finite_ones(measured)
        note_losses(self._notices, self, measured, failed, least)
        if self.needs_gradient_norms and norms is None:
            measured = replace(measured, refreshed=torch.zeros_like(mask))
        return measured, failed

    def _fresh(self, losses: Float[Tensor, "num_envs losses"]) -> dict[str, Any]:
        count = losses.shape[1]
        if self.prior is not None and len(self.prior) != count:
            raise ValueError(f"prior={self.prior}: expected {count} numbers, one for each loss")
        weights = default_weights(losses, self.prior, self.scale)
        return {"weights": weights.expand_as(losses).clone()} | self._start(losses)
