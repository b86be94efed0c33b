"""The gradients of a step, from which its own weights may follow."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.core.control import Control, Evaluation, Factors, Reweigh
from autoloss_gym.core.differentiation import Gradients, check_shape
from autoloss_gym.core.task import Pair


@dataclass(frozen=True, eq=False)
class StepGradients:
    """What an update has measured before it moves anything; each figure is computed when it is
    first asked for.

    Figures of a run follow from that run alone. Those of pairs that it does not use are 0, and a
    run that takes no step (it has ended or diverged, or something of it is not finite) uses none.

    Args:
        pairs: the arms.
        losses: their values, unweighted.
        used: which pairs each run uses in this step.
        gradients: by number of the pair and block.
        traces: computes the traces of kernels of some runs.
        rows: which of all runs these are.
        num_envs: number of all runs.
    """

    pairs: Sequence[Pair]
    losses: Float[Tensor, "num_envs pairs"]
    used: Bool[Tensor, "num_envs pairs"]
    gradients: Gradients
    traces: Callable[[range], Tensor]
    rows: range
    num_envs: int

    @classmethod
    def of_all(
        cls,
        pairs: Sequence[Pair],
        evaluation: Evaluation,
        used: Bool[Tensor, "num_envs pairs"],
        gradients: Gradients,
        traces: Callable[[range], Tensor],
    ) -> "StepGradients":
        """What an update has measured of all runs, of which some take a step."""
        losses = torch.where(used, evaluation.losses, 0.0)
        count = len(used)
        return cls(pairs, losses, used, gradients, traces, range(count), count)

    def of(self, runs: slice) -> "StepGradients":
        """The same of some runs that follow one another."""
        own = self.rows[runs]
        return replace(self, losses=self.losses[runs], used=self.used[runs], rows=own)

    @property
    def shared_blocks(self) -> tuple[str, ...]:
        """Names of the blocks that all pairs of the task move, in the order of the first pair."""
        return shared_by_all(self.pairs)

    def jacobian(self) -> Float[Tensor, "num_envs pairs size"]:
        """Each pair's gradient by all the blocks that every pair moves.

        Raises:
            ValueError: there is no such block.
        """
        return torch.stack([torch.cat(parts, dim=1) for parts in self._parts], dim=1)

    def gramian(self) -> Float[Tensor, "num_envs pairs pairs"]:
        """Inner products of the rows of the Jacobian.

        Raises:
            ValueError: as for the Jacobian.
        """
        # Not a product of matrices: the order of its sums would depend on the number of runs.
        rows = []
        for first in self._parts:
            products = []
            for second in self._parts:
                sums = [(a * b).sum(dim=1) for a, b in zip(first, second, strict=True)]
                products.append(sum(sums[1:], sums[0]))
            rows.append(torch.stack(products, dim=1))
        return torch.stack(rows, dim=1)

    def kernel_traces(self) -> Float[Tensor, "num_envs pairs"]:
        """Of each loss, the trace of its neural tangent kernel: Σ_i ‖∂r(x_i)/∂θ‖² over its points.

        Exact, with one backward a point.

        Raises:
            ValueError: the task does not write `residuals(parameters, batch)`.
        """
        return torch.where(self.used, self.traces(self.rows), 0.0)

    @functools.cached_property
    def _parts(self) -> list[list[Tensor]]:
        """Of each pair, its gradients (num_envs, size) by the blocks that all share."""
        if not self.shared_blocks:
            names = ", ".join(pair.name for pair in self.pairs)
            raise ValueError(
                f"no parameter block belongs to all of the pairs {names}: their gradients cannot "
                "be compared; weigh them by a rule, or choose pairs"
            )
        return [[self._part(k, block) for block in self.shared_blocks] for k in self._numbers]

    @property
    def _numbers(self) -> range:
        return range(len(self.pairs))

    def _part(self, index: int, block: str) -> Float[Tensor, "num_envs size"]:
        """The gradient of a pair by a block, 0 where a run does not use the pair."""
        if (index, block) not in self.gradients:
            other = next(k for k in self._numbers if (k, block) in self.gradients)
            return torch.zeros_like(self._part(other, block))
        part = self.gradients[index, block].of_all(self.num_envs)
        own = part.detach()[self.rows.start : self.rows.stop]
        return torch.where(self.used[:, index : index + 1], own, 0.0)


def shared_by_all(pairs: Sequence[Pair]) -> tuple[str, ...]:
    """Names of the blocks that all pairs move, in the order of the first pair."""
    first, *others = pairs
    return tuple(name for name in first.blocks if all(name in pair.blocks for pair in others))


def reweighed(
    control: Control, gradients: StepGradients
) -> tuple[Factors, Bool[Tensor, " num_envs"]]:
    """The weights of a control times the factors that it makes of the gradients.

    Returns:
        The weights, finite for the runs that take a step, and those of them for which the factors
        were not: they are to take none.

    Raises:
        ValueError: the factors are of another shape.
    """
    assert control.reweigh is not None
    with torch.no_grad():
        factors = _factors(control.reweigh, gradients)
    failed = torch.zeros_like(gradients.used[:, 0])
    weights = []
    for each in factors:
        check_shape("reweigh()", each, tuple(gradients.used.shape))
        each = each.detach().to(control.weights)
        failed = failed | ~torch.isfinite(each).all(dim=1)
        weights.append(control.weights * each)
    return Factors(*weights), failed & gradients.used.any(dim=1)


class Joined:
    """One function for runs of several parts, of which some have none.

    Args:
        parts: the function of each part.
        slices: the runs of each part, one after another.

    Attributes:
        latest: the factors of the last update that has asked for some.
    """

    def __init__(self, parts: Sequence[Reweigh | None], slices: Sequence[slice]) -> None:
        self._parts = list(zip(parts, slices, strict=True))
        self.latest: Factors | None = None

    def __call__(self, gradients: StepGradients) -> Factors:
        found = [_factors(part, gradients.of(rows)) for part, rows in self._parts]
        shared, own = zip(*found, strict=True)
        self.latest = Factors(torch.cat(shared), torch.cat(own))
        return self.latest


def _factors(reweigh: Reweigh | None, gradients: StepGradients) -> Factors:
    found = torch.ones_like(gradients.losses) if reweigh is None else reweigh(gradients)
    return found if isinstance(found, Factors) else Factors(found, found)
