"""An optimizer that is itself learned: a small network that sees each parameter alone."""

import copy
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.optimizers.learned_files import read_weights
from autoloss_gym.optimizers.learned_network import (
    DECAYS,
    empty_moments,
    hidden_size_of,
    proposals,
    time_features,
)
from autoloss_gym.optimizers.optimizer import Optimizer, OptimizerState
from autoloss_gym.tools.bounds import PositiveFloat, PositiveInts
from autoloss_gym.tools.compiling import graph_constant
from autoloss_gym.tools.names import shown


@dataclass(frozen=True, kw_only=True)
class LearnedOptimizer(Optimizer):
    """A network that turns 31 features of each parameter into its step, after Metz et al. 2019.

    The features of a parameter are its gradient, five moving averages of the gradients (decays .5,
    .9, .99, .999, .9999), as many of their squares, the inverse roots of these, the ratios of
    average and root, and the parameter itself, each scaled to a mean square of 1 over the tensor
    that the parameter belongs to; and nine functions tanh(step / τ − 1) of the time. One hidden
    layer of ReLU units gives d and m, and the parameter moves by −0.001 · d · exp(0.001 · m).

    The weights stand in the optimizer's state, one row a run, under "weights": another row for each
    run may be put there (`with_weights`), and gradients flow to them in a differentiable update.
    Gradients above 1e19 overflow in their squares, and the run diverges.

    Source: Metz, Maheswaranathan, Nixon, Freeman, Sohl-Dickstein: "Understanding and correcting
    pathologies in the training of learned optimizers", ICML 2019.

    Args:
        file: weights that `--algo learned_optimizer` has stored.
        weights: the weights themselves instead, as numbers, an array or a tensor.
        learning_rate: factor on the step.
        sizes: of the tensors that a block is packed from, in order; () where it is one. Tasks set
            them.
    """

    file: str = ""
    weights: tuple[float, ...] | Any = field(default=(), repr=False)
    learning_rate: PositiveFloat = 1.0
    sizes: PositiveInts = ()
    loaded: tuple[float, ...] = field(default=(), init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", _as_numbers(self.weights))
        super().__post_init__()
        if bool(self.file) == bool(self.weights):
            raise ValueError(
                f"file={self.file!r}, weights={'given' if self.weights else ()}: expected one of "
                "them: the optimizer.safetensors of a run of --algo learned_optimizer, or numbers"
            )
        if self.file:
            object.__setattr__(self, "loaded", tuple(read_weights(Path(self.file)).mean.tolist()))

    def on(self, sizes: tuple[int, ...]) -> "LearnedOptimizer":
        # A copy, because the file may have changed since it was read.
        copied = copy.copy(self)
        object.__setattr__(copied, "sizes", tuple(sizes))
        return copied

    def init(self, parameters: Float[Tensor, "num_envs size"]) -> OptimizerState:
        row = _row(self.loaded or self.weights, parameters.device, parameters.dtype)
        return {
            "steps": parameters.new_zeros(len(parameters), dtype=torch.int64),
            "weights": row.repeat(len(parameters), 1),
            **empty_moments(parameters),
        }

    def update(
        self,
        parameters: Float[Tensor, "num_envs size"],
        gradients: Float[Tensor, "num_envs size"],
        state: OptimizerState,
        active: Bool[Tensor, " num_envs"],
        step_size: Float[Tensor, " num_envs"],
    ) -> None:
        times = time_features(state["steps"], parameters.dtype)
        state["steps"].add_(active)
        size = parameters.shape[1]

        # Idle runs keep all of their moments and take in nothing.
        decays, ones = _decays(parameters.device, parameters.dtype)
        kept = torch.where(active[:, None], decays, ones)[:, :, None]
        new = 1 - kept
        first = state["first_moments"].mul_(kept)
        second = state["second_moments"].mul_(kept)
        first[:, :, :size].add_(gradients[:, None] * new)
        second[:, :, :size].add_((gradients * gradients)[:, None] * new)

        steps = proposals(parameters, gradients, state, times, self.sizes or (size,))
        rate = (self.learning_rate * step_size)[:, None]
        parameters.sub_(torch.where(active[:, None], steps * rate, 0.0))


def with_weights(
    state: dict[str, OptimizerState], weights: Float[Tensor, "rows weights"]
) -> dict[str, OptimizerState]:
    """The states of all blocks with these weights of the learned optimizer, a row for each run.

    Args:
        state: the optimizer's state by block: `State.optimizer`.
        weights: gradients flow to them.

    Raises:
        ValueError: they are not as many as those that stand there.
    """
    for name, block in state.items():
        if "weights" not in block or block["weights"].shape != weights.shape:
            there = tuple(block["weights"].shape) if "weights" in block else "none"
            raise ValueError(
                f"weights of shape {tuple(weights.shape)} for block {name!r}, which has {there}: "
                "expected the state of a LearnedOptimizer, and a row for each run"
            )
    return {name: {**block, "weights": weights} for name, block in state.items()}


def _as_numbers(values: Any) -> tuple[float, ...]:
    """Weights as a tuple, which can be compared and hashed."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
    if hasattr(values, "tolist"):
        values = values.tolist()
    expected = "expected 34 h + 2 finite numbers, for h hidden units"
    if not isinstance(values, list | tuple):
        raise ValueError(f"weights={shown(values)}: {expected}")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"weights hold {shown(value)}: {expected}")
        if not math.isfinite(value):
            raise ValueError(f"weights hold {value}: {expected}")
    if values and not hidden_size_of(len(values)):
        raise ValueError(f"weights are {len(values)} numbers: {expected}")
    return tuple(map(float, values))


@graph_constant()
def _row(values: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.tensor([values], device=device, dtype=dtype)


@graph_constant()
def _decays(device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The decays, and their values for runs that nothing may change."""
    ones = (1.0,) * len(DECAYS)
    return (
        torch.tensor(DECAYS, device=device, dtype=dtype),
        torch.tensor(ones, device=device, dtype=dtype),
    )
