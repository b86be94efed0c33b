"""Loss-weighting rules: measured losses in, weights out, for one model or a batch of runs."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar, overload

import numpy as np
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from autoloss_gym.tools.compiling import uncompiled
from autoloss_gym.weightings.boundary.arguments import Count, check_arguments, factors
from autoloss_gym.weightings.boundary.losses import Values
from autoloss_gym.weightings.boundary.module import RuleModule
from autoloss_gym.weightings.boundary.notices import Notices
from autoloss_gym.weightings.measurements import Measurements
from autoloss_gym.weightings.reduction import check_reduce
from autoloss_gym.weightings.runs import Runs
from autoloss_gym.weightings.scaling import Scale, default_weights
from autoloss_gym.weightings.step import call_of, step, weighted_sum

Name = TypeVar("Name", bound=str | int)


@dataclass(kw_only=True)
class WeightingRule(RuleModule):
    """Loss weights for any training loop, from the losses that it measures.

        rule(losses).backward()         # the weighted sum
        weights = rule.update(losses)   # or the weights themselves

    A rule holds the history of one model, or of `num_envs` runs that share nothing. No gradient
    flows through the weights, and no graph is kept alive. It is an `nn.Module` without parameters:
    as an attribute of a model it is saved and loaded with it.

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
        reduce: in a training of several processes, "mean" to learn from the losses' means over all
            of them, so that each gets the same weights; a process group for the means over it, or
            a function that averages a tensor. It is not saved.

    Raises:
        ValueError: an argument is of another type or out of its bounds.
    """

    reads_losses: ClassVar[bool] = True  # False where only the number of losses matters
    needs_gradient_norms: ClassVar[bool] = False
    # The number of each loss that comes as its gradient norm: "norms" ‖∂L/∂θ‖; "magnitudes" of the
    # first loss the largest |∂L/∂θ|, of the others the mean; "kernel_traces" Σ_i ‖∂r(x_i)/∂θ‖².
    gradient_figures: ClassVar[str] = "norms"
    negative_losses: ClassVar[str] = ""  # a warning of what they do, where the formula forbids them

    prior: Sequence[float | int] | None = None
    scale: Scale = "sum"
    every: Count = 1
    shared = None  # parameters by which a rule measures gradient norms itself
    reduce: Any = field(default=None, metadata={"saved": False})
    _runs: Runs = field(default_factory=Runs, init=False, repr=False)
    _notices: Notices = field(default_factory=Notices, init=False, repr=False)

    def __post_init__(self) -> None:
        check_arguments(self)
        check_reduce(self.reduce)
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

    @uncompiled
    def update(
        self, losses: Values, refreshed: Values | None = None, gradient_norms: Values | None = None
    ) -> Float[Tensor, "*num_envs losses"] | dict[Any, Float[Tensor, ""]]:
        """Take in the losses and return their weights; `rule(losses)` returns the weighted sum.

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
        call = call_of(self, losses, refreshed, gradient_norms)
        weights = step(self, call)
        self._notices.tell(wait=False)
        if call.names is None:
            return weights
        by_name = dict(zip(call.names, weights.unbind(), strict=True))
        return {name: by_name[name] for name in call.losses}

    @uncompiled
    def forward(
        self, losses: Values, refreshed: Values | None = None, gradient_norms: Values | None = None
    ) -> Float[Tensor, "*num_envs"]:
        """Take in the losses and return Σ_k w_k L_k, through which gradients reach the losses.

        Arguments and errors are those of `update`. A loss that was not refreshed is no part of the
        sum.

        Returns:
            A scalar, or (num_envs,) for a batch of runs.
        """
        call = call_of(self, losses, refreshed, gradient_norms)
        call.values  # noqa: B018 (with their graph)
        weights = step(self, call)
        self._notices.tell(wait=False)
        return weighted_sum(call, weights)

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

    def _fresh(self, losses: Float[Tensor, "num_envs losses"]) -> dict[str, Any]:
        count = losses.shape[1]
        if self.prior is not None and len(self.prior) != count:
            raise ValueError(f"prior={self.prior}: expected {count} numbers, one for each loss")
        weights = default_weights(losses, self.prior, self.scale)
        return {"weights": weights.expand_as(losses).clone()} | self._start(losses)
