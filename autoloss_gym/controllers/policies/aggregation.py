"""Aggregation of gradients as a policy: weights that follow from the gradients of each step."""

import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.control import Control, Factors
from autoloss_gym.core.step_gradients import StepGradients
from autoloss_gym.tools.names import one_line

# From a matrix of one run, (pairs, pairs) or (pairs, size), to the weights of its rows.
Weighting = Callable[[Tensor], Tensor]
# Aggregators by the names of their policies: classes in `torchjd.aggregation`.
AGGREGATORS = {
    "pcgrad": "PCGradWeighting",
    "cagrad": "CAGradWeighting",
    "mgda": "MGDAWeighting",
    "nash_mtl": "NashMTL",
    "aligned_mtl": "AlignedMTLWeighting",
    "imtl_g": "IMTLGWeighting",
    "upgrad": "UPGradWeighting",
}
_REASON = 160  # characters


@dataclass
class AggregationPolicy:
    """Uses all pairs, and moves the blocks that several of them share along an aggregation of their
    gradients by TorchJD (Quinton, Rey: "Jacobian Descent for Multi-Objective Optimization", 2024).

    Its weights are computed from the gradients by the blocks that all pairs share. A block of one
    pair alone takes that pair's own gradient, with weight 1. Each run has an aggregator of its own,
    on the host, in which TorchJD takes one matrix after another: where the runs are on a device,
    the host waits for it in every step. A run that uses a single pair in a step gives it weight 1.

    Gramians are divided by their trace, so that thresholds of TorchJD do not depend on the unit of
    the losses. Random draws follow from a run's seed and the number of steps. Where a solver fails,
    the run's gradients are summed in that step, and the first time a warning says so.

    Args:
        aggregator: a key of `AGGREGATORS`.
        arguments: of its class in TorchJD.
    """

    label: str
    aggregator: str
    arguments: dict[str, Any] = field(default_factory=dict)
    static: bool = False
    diagnostics: bool = False
    env_arguments: dict[str, Any] = field(default_factory=dict)
    needs_step_gradients: ClassVar[bool] = True

    def __post_init__(self) -> None:
        make_weighting(self.aggregator, self.arguments, 2)  # says at once what is missing

    def reset(self, seeds: np.ndarray) -> None:
        keys = torch.from_numpy(np.asarray(seeds, dtype=np.int64))
        self._keys = random.fold_in(keys, "aggregation")
        self._steps = 0
        self._weightings: dict[tuple[int, int], Weighting] = {}
        self._failure = ""
        self._has_warned = False

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> Control:
        ones = torch.ones(infos["losses"].shape, dtype=torch.float32, device="cpu")
        return Control(weights=ones, step_size=ones[:, 0], reweigh=self._factors)

    def _factors(self, gradients: StepGradients) -> Factors:
        """Weights of each run's gradients; 1 for pairs that a run does not use."""
        reads_jacobian = self.aggregator == "nash_mtl"
        matrices = gradients.jacobian() if reads_jacobian else gradients.gramian()
        matrices, used = matrices.cpu(), gradients.used.cpu().numpy()
        seeds = random.fold_in(self._keys, self._steps).tolist()
        self._steps += 1

        factors = torch.ones(used.shape, dtype=torch.float32, device="cpu")
        # What solvers warn of is theirs, such as that a problem could be written otherwise.
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings(action="ignore"):
            for run in np.flatnonzero(used.sum(axis=1) > 1).tolist():
                pairs = torch.from_numpy(np.flatnonzero(used[run]))
                matrix = matrices[run, pairs]
                if not reads_jacobian:
                    matrix = _of_unit_trace(matrix[:, pairs])
                torch.default_generator.manual_seed(seeds[run])
                factors[run, pairs] = self._weights(run, matrix)
        self._tell()
        shared = factors.to(gradients.losses.device)
        return Factors(shared=shared, own=torch.ones_like(shared))

    def _weights(self, run: int, matrix: Float[Tensor, "used _"]) -> Float[Tensor, " used"]:
        """Weights of one run."""
        key = run, len(matrix)
        if key not in self._weightings:
            self._weightings[key] = make_weighting(self.aggregator, self.arguments, len(matrix))
        try:
            weights = self._weightings[key](matrix)
            failure = "" if bool(torch.isfinite(weights).all()) else "they are not finite"
        except Exception as error:  # each solver has errors of its own
            failure = f"{type(error).__name__}: {error}"
        if failure:
            self._failure = failure
            return torch.ones_like(matrix[:, 0])
        return weights

    def _tell(self) -> None:
        """A warning when a solver has failed for the first time."""
        if self._failure and not self._has_warned:
            self._has_warned = True
            reason = one_line(self._failure, _REASON)
            warnings.warn(
                f"{self.label}: the gradients of a run are summed where TorchJD finds no weights "
                f"({reason})",
                stacklevel=2,
            )


def make_weighting(aggregator: str, arguments: dict[str, Any], number: int) -> Weighting:
    """The weighting of an aggregator of TorchJD, for so many gradients.

    Raises:
        ImportError: TorchJD, or a solver that it needs, is not installed.
    """
    module = importlib.import_module("torchjd.aggregation")
    made: Callable[..., Any] = getattr(module, AGGREGATORS[aggregator])
    if aggregator == "nash_mtl":
        return made(number, **arguments).weighting
    return made(**arguments)


def _of_unit_trace(gramian: Float[Tensor, "used used"]) -> Float[Tensor, "used used"]:
    """The Gramian of gradients that have the norm 1 together; where all are 0, as it is."""
    trace = gramian.diagonal().sum()
    return gramian if trace == 0 else gramian / trace
