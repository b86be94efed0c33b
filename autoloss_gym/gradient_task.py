"""Tasks whose author writes data, parameters and one function per loss; gradients and optimizer steps are shared code."""

import functools
import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from autoloss_gym import random, tree
from autoloss_gym.optimizers import Adam, Optimizer
from autoloss_gym.task import Control, Evaluation, Keys, Pair, State, Task

Parameters = Mapping[str, Any]
Loss = Callable[[Parameters, Any], Float[Tensor, " num_envs"]]


@dataclass(frozen=True, kw_only=True)
class GradientTask(Task):
    """A task given by differentiable losses, each updated by one optimizer that all losses of a block share.

    The functions of the author work on whole batches: the first dimension of every tensor is the run, and runs share
    nothing. `parameters[block]` has the shape that `initial_parameters` gave it.
    """

    optimizer: Optimizer = field(default_factory=lambda: Adam(learning_rate=1e-3))

    @abstractmethod
    def make_data(self, keys: Keys) -> Any:
        """The data of each run, a tree of tensors (num_envs, …), drawn from `keys.problem`."""

    @abstractmethod
    def initial_parameters(self, keys: Keys) -> dict[str, Any]:
        """Blocks by name, each a tensor (num_envs, …) or a dict of such tensors, drawn from `keys.run`."""

    @abstractmethod
    def batch(self, data: Any, keys: Int64[Tensor, " num_envs"]) -> Any:
        """What the losses of one step see: the data itself, or a mini-batch drawn with the keys of this step."""

    @abstractmethod
    def losses(self) -> Mapping[str, Loss]:
        """Every loss by name: functions (parameters, batch) → (num_envs,), valid for any subset of the runs."""

    @abstractmethod
    def validation(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs metrics"]:
        """The columns that `validation_metrics` names."""

    @abstractmethod
    def test(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs metrics"]:
        """The columns that `score_metrics` names."""

    def reset(self, keys: Keys) -> State:
        packed = {name: _pack(block) for name, block in self.initial_parameters(keys).items()}
        return State(
            keys=keys,
            data=tree.map_tensors(Tensor.contiguous, self.make_data(keys)),  # expanded data cannot be written run by run
            parameters=packed,
            optimizer={name: self.optimizer.init(block) for name, block in packed.items()},
            steps=torch.zeros_like(keys.run),
            diverged=torch.zeros_like(keys.run, dtype=torch.bool),
        )

    def observe(self, state: State) -> Evaluation:
        everything = torch.ones(len(state.steps), len(self.pairs), dtype=torch.bool, device=state.steps.device)
        return self._differentiate(state, everything, range(len(self.pairs)), differentiable=False)[0]

    def update(self, state: State, control: Control, *, differentiable: bool = False) -> tuple[State, Evaluation]:
        used = control.weights != 0
        indices = range(len(self.pairs)) if control.choice is None else np.unique(control.choice).tolist()
        evaluation, gradients = self._differentiate(state, used, indices, differentiable)
        if differentiable:
            state = tree.clone(state)
        failed = used & ~(torch.isfinite(evaluation.losses) & torch.isfinite(evaluation.gradient_norms))
        state.diverged |= failed.any(dim=1)
        evaluation.measured = used & ~failed
        with torch.set_grad_enabled(differentiable):
            for name, parameters in state.parameters.items():
                total, active = self._combine(name, gradients, control.weights, used & ~state.diverged[:, None])
                if total is not None:
                    self.optimizer.update(parameters, total, state.optimizer[name], active, control.step_size)
        state.steps += 1
        return state, evaluation

    def validate(self, state: State) -> Float[Tensor, "num_envs metrics"]:
        with torch.no_grad():
            values = self.validation(self._unpack(state.parameters), state.data)
        return _shaped("validation()", values, (len(state.steps), len(self.validation_metrics)))

    def score(self, state: State) -> Float[Tensor, "num_envs metrics"]:
        with torch.no_grad():
            values = self.test(self._unpack(state.parameters), state.data)
        return _shaped("test()", values, (len(state.steps), len(self.score_metrics)))

    def extra(self, state: State) -> Float[Tensor, "num_envs 0"]:
        return torch.zeros(len(state.steps), 0, device=state.steps.device)

    def _unpack(self, packed: Mapping[str, Tensor]) -> Parameters:
        shapes = _block_shapes(self)
        return {name: _view(block, shapes[name]) for name, block in packed.items()}

    def _differentiate(
        self, state: State, used: Bool[Tensor, "num_envs pairs"], indices: Any, differentiable: bool
    ) -> tuple[Evaluation, dict[tuple[int, str], Tensor]]:
        """Losses, norms and gradients by (pair, block) of the pairs `indices`; entries not computed are 0."""
        batch = self.batch(state.data, random.fold_in(state.keys.run, state.steps))
        packed = {n: p if p.requires_grad else p.detach().requires_grad_() for n, p in state.parameters.items()}
        zeros = torch.zeros_like(used, dtype=torch.float32)
        evaluation = Evaluation(losses=zeros, gradient_norms=zeros.clone(), measured=used)
        gradients: dict[tuple[int, str], Tensor] = {}
        for index in indices:
            pair = self.pairs[index]
            rows = None if pair.cheap else _rows(used[:, index])
            if rows is not None and not len(rows):
                continue
            values, parts = self._pair_gradients(pair, packed, batch, rows, differentiable)
            evaluation.losses[:, index] = _scatter(values.detach(), rows, len(used))
            squares = torch.stack([(part.detach() * part.detach()).sum(dim=1) for part in parts]).sum(dim=0)
            norms = torch.sqrt(squares / sum(part.shape[1] for part in parts))
            evaluation.gradient_norms[:, index] = _scatter(norms, rows, len(used))
            for name, part in zip(pair.blocks, parts, strict=True):
                gradients[index, name] = _scatter(part, rows, len(used))
        return evaluation, gradients

    def _pair_gradients(
        self, pair: Pair, packed: dict[str, Tensor], batch: Any, rows: Tensor | None, differentiable: bool
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """One backward for all runs, or for the runs `rows`: they share nothing, so the sum separates."""
        with torch.enable_grad():
            if rows is not None:
                packed, batch = tree.select(packed, rows), tree.select(batch, rows)
            blocks = [packed[name] for name in pair.blocks]
            values = self.losses()[pair.loss](self._unpack(packed), batch)
            _shaped(f"loss {pair.loss!r}", values, (len(blocks[0]),))
            return values, torch.autograd.grad(values.sum(), blocks, create_graph=differentiable)

    def _combine(
        self,
        block: str,
        gradients: dict[tuple[int, str], Tensor],
        weights: Tensor,
        used: Bool[Tensor, "num_envs pairs"],
    ) -> tuple[Tensor | None, Tensor]:
        """The weighted gradient of a block over the pairs in use, finite everywhere, and the runs that have one.

        None where nothing was computed for the block, which no run updates then.
        """
        total, active = None, torch.zeros_like(used[:, 0])
        for index, pair in enumerate(self.pairs):
            if block not in pair.blocks:
                continue
            active = active | used[:, index]
            if (index, block) in gradients:
                part = gradients[index, block] * weights[:, index : index + 1]
                part = torch.where(used[:, index : index + 1], part, 0.0)
                total = part if total is None else total + part
        return total, active


@functools.lru_cache(maxsize=64)
def _block_shapes(task: GradientTask) -> Mapping[str, Any]:
    """Shape of every block without the leading run dimension; a dict of shapes where the block is a dict."""
    zero = torch.zeros(1, dtype=torch.int64)
    return tree.map_tensors(lambda leaf: leaf.shape[1:], task.initial_parameters(Keys(problem=zero, run=zero)))


def _shaped(name: str, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`values`, if they have the shape that the author of a task has to return."""
    if tuple(values.shape) != shape:
        raise ValueError(f"{name} returned shape {tuple(values.shape)}, expected {shape}: one row for each run")
    return values


def _pack(block: Any) -> Tensor:
    leaves = list(block.values()) if isinstance(block, dict) else [block]
    return torch.cat([leaf.reshape(len(leaf), -1) for leaf in leaves], dim=1)


def _view(packed: Tensor, shapes: Any) -> Any:
    """Views of the packed block (num_envs, size) in the author's shapes."""
    if not isinstance(shapes, dict):
        return packed.view(-1, *shapes)
    parts = packed.split([math.prod(shape) for shape in shapes.values()], dim=1)
    return {n: part.reshape(-1, *shape) for (n, shape), part in zip(shapes.items(), parts, strict=True)}


def _rows(used: Bool[Tensor, " num_envs"]) -> Int64[Tensor, " rows"] | None:
    """The runs that use a pair; None stands for all, and for where finding them would make the host wait for the device."""
    if used.device.type != "cpu" or bool(used.all()):
        return None
    return used.nonzero().squeeze(1)


def _scatter(values: Tensor, rows: Tensor | None, num_envs: int) -> Tensor:
    if rows is None:
        return values
    return values.new_zeros(num_envs, *values.shape[1:]).index_copy(0, rows, values)
