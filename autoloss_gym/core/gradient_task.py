"""Tasks whose author writes data, parameters and one function per loss; gradients and optimizer
steps are shared code.
"""

import functools
import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.loss import ClosedForm, Loss, Parameters
from autoloss_gym.core.task import Control, Evaluation, Keys, Pair, State, Task
from autoloss_gym.optimizers import Adam, Optimizer
from autoloss_gym.tools import tree


@dataclass(frozen=True, kw_only=True)
class GradientTask(Task):
    """A task given by differentiable losses, each updated by one optimizer that all losses of a
    block share.

    The functions of the author work on whole batches: the first dimension of every tensor is the
    run, and runs share nothing. `parameters[block]` has the shape that `initial_parameters` gave
    it.
    """

    full_batch: ClassVar[bool] = (
        False  # True where `batch` ignores its keys: they are then not hashed anew for each step
    )
    runs_at_once: ClassVar[int] = (
        64  # runs that are computed together on the CPU: more would leave its caches
    )

    optimizer: Optimizer = field(default_factory=lambda: Adam(learning_rate=1e-3))

    @abstractmethod
    def make_data(self, keys: Keys) -> Any:
        """The data of each run, a tree of tensors (num_envs, …), drawn from `keys.problem`."""

    @abstractmethod
    def initial_parameters(self, keys: Keys) -> dict[str, Any]:
        """Blocks by name, each a tensor (num_envs, …) or a dict of such tensors, drawn from
        `keys.run`.
        """

    @abstractmethod
    def batch(self, data: Any, keys: Int64[Tensor, " num_envs"]) -> Any:
        """What the losses of one step see: the data itself, or a mini-batch drawn with the keys of
        this step.

        Where `full_batch`, the keys are the same at every step.
        """

    @abstractmethod
    def losses(self) -> Mapping[str, Loss]:
        """Every loss by name: functions (parameters, batch) → (num_envs,), valid for any subset of
        the runs.

        One whose gradient is known in closed form may be a `ClosedForm`.
        """

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
            data=tree.map_tensors(
                Tensor.contiguous, self.make_data(keys)
            ),  # expanded data cannot be written run by run
            parameters=packed,
            optimizer={name: self.optimizer.init(block) for name, block in packed.items()},
            steps=torch.zeros_like(keys.run),
            diverged=torch.zeros_like(keys.run, dtype=torch.bool),
        )

    def observe(self, state: State) -> Evaluation:
        everything = torch.ones(
            len(state.steps), len(self.pairs), dtype=torch.bool, device=state.steps.device
        )
        return self._differentiate(state, everything, range(len(self.pairs)), differentiable=False)[
            0
        ]

    def update(
        self, state: State, control: Control, *, differentiable: bool = False
    ) -> tuple[State, Evaluation]:
        used = control.weights != 0
        indices = range(len(self.pairs)) if control.choice is None else _chosen(control.choice)
        evaluation, gradients = self._differentiate(state, used, indices, differentiable)
        if differentiable:
            state = tree.clone(state)
        finite = torch.maximum(evaluation.losses.abs(), evaluation.gradient_norms) < math.inf
        evaluation.measured = used & finite
        state.diverged |= (used != evaluation.measured).any(dim=1)
        weights, used = (
            None if control.choice is not None else control.weights,
            used & ~state.diverged[:, None],
        )
        with torch.set_grad_enabled(differentiable):
            for name, parameters in state.parameters.items():
                total, active = self._combine(name, gradients, weights, used)
                if total is not None:
                    self.optimizer.update(
                        parameters, total, state.optimizer[name], active, control.step_size
                    )
        state.steps += 1
        return state, evaluation

    def validate(self, state: State) -> Float[Tensor, "num_envs metrics"]:
        return self._measured("validation()", self.validation, state, len(self.validation_metrics))

    def score(self, state: State) -> Float[Tensor, "num_envs metrics"]:
        return self._measured("test()", self.test, state, len(self.score_metrics))

    def _measured(
        self, name: str, metrics: Callable[[Parameters, Any], Tensor], state: State, width: int
    ) -> Tensor:
        """The metrics of all runs; not of too many at once on the CPU."""
        count, inputs = len(state.steps), (state.parameters, state.data)
        size = self.runs_at_once if _is_eager_on_cpu(state.steps) else count
        chunks = [(i, min(i + size, count)) for i in range(0, count, size)]
        parts = []
        for first, last in chunks:
            part = (
                tree.map_tensors(lambda leaf, a=first, b=last: leaf[a:b], inputs)
                if len(chunks) > 1
                else inputs
            )
            with torch.no_grad():
                values = metrics(self.unpack(part[0]), part[1])
            parts.append(_shaped(name, values, (last - first, width)))
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def extra(self, state: State) -> Float[Tensor, "num_envs 0"]:
        return torch.zeros(len(state.steps), 0, device=state.steps.device)

    @functools.cached_property
    def _shapes(self) -> Mapping[str, Any]:
        """Shape of every block without the leading run dimension; a dict of shapes where the block
        is a dict.
        """
        zero = torch.zeros(1, dtype=torch.int64)
        return tree.map_tensors(
            lambda leaf: leaf.shape[1:], self.initial_parameters(Keys(problem=zero, run=zero))
        )

    @functools.cached_property
    def _losses(self) -> Mapping[str, Loss]:
        return self.losses()

    def __getstate__(self) -> dict[str, Any]:
        # What is derived from the arguments is derived anew elsewhere: a loss may be a function
        # that cannot be pickled.
        return {
            name: value for name, value in vars(self).items() if name not in ("_losses", "_shapes")
        }

    def unpack(self, packed: Mapping[str, Float[Tensor, "num_envs _"]]) -> Parameters:
        """Views of packed blocks in the shapes that `initial_parameters` gave them."""
        return {name: _view(block, self._shapes[name]) for name, block in packed.items()}

    def _differentiate(
        self,
        state: State,
        used: Bool[Tensor, "num_envs pairs"],
        indices: Iterable[int],
        differentiable: bool,
    ) -> tuple[Evaluation, dict[tuple[int, str], Tensor]]:
        """Losses, norms and gradients by (pair, block) of the pairs `indices`; entries not computed
        are 0.
        """
        keys = state.keys.run if self.full_batch else random.fold_in(state.keys.run, state.steps)
        inputs, losses = (state.parameters, self.batch(state.data, keys)), self._losses
        zeros = torch.zeros_like(used[:, 0], dtype=torch.float32)
        values, norms, gradients = [zeros] * len(self.pairs), [zeros] * len(self.pairs), {}
        for index in indices:
            pair = self.pairs[index]
            rows = None if pair.cheap else _rows(used[:, index])
            if rows is not None and not len(rows):
                continue
            measured, parts = self._by_chunks(pair, losses[pair.loss], inputs, rows, differentiable)
            norm = _norm([part.detach() for part in parts])
            values[index], norms[index] = (
                _scatter(measured.detach(), rows, len(used)),
                _scatter(norm, rows, len(used)),
            )
            for name, part in zip(pair.blocks, parts, strict=True):
                gradients[index, name] = _scatter(part, rows, len(used))
        return Evaluation(
            torch.stack(values, dim=1), torch.stack(norms, dim=1), measured=used
        ), gradients

    def _by_chunks(
        self,
        pair: Pair,
        loss: Loss,
        inputs: tuple[Any, Any],
        rows: Tensor | None,
        differentiable: bool,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Values and gradients of one loss for all runs, or for the runs `rows`: not too many at
        once on the CPU.
        """
        some, size = next(iter(inputs[0].values())), self.runs_at_once
        chunks = [rows] if rows is None or len(rows) <= size else list(rows.split(size))
        if rows is None and not pair.cheap and len(some) > size and _is_eager_on_cpu(some):
            chunks = list(torch.arange(len(some)).split(size))
        chosen = (inputs if chunk is None else tree.select(inputs, chunk) for chunk in chunks)
        parts = [self._gradients(pair, loss, part, differentiable) for part in chosen]
        if len(parts) == 1:
            return parts[0]
        values, gradients = zip(*parts, strict=True)
        return torch.cat(values), tuple(torch.cat(each) for each in zip(*gradients, strict=True))

    def _gradients(
        self, pair: Pair, loss: Loss, inputs: tuple[Any, Any], differentiable: bool
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Values and the gradients of the pair's blocks: one backward for all runs, which share
        nothing, or the closed form.
        """
        packed, batch = inputs
        if isinstance(loss, ClosedForm):
            with torch.set_grad_enabled(differentiable):
                values, gradients = loss.value_and_gradient(self.unpack(packed), batch)
                return values, tuple(_pack(gradients[block]) for block in pair.blocks)
        if torch.compiler.is_compiling():
            values_and_gradients = torch.func.grad(
                lambda blocks: self._total(pair, loss, packed | blocks, batch), has_aux=True
            )
            gradients, values = values_and_gradients(
                {block: packed[block] for block in pair.blocks}
            )
            return values, tuple(gradients[block] for block in pair.blocks)
        with torch.enable_grad():
            own = {
                n: packed[n] if packed[n].requires_grad else packed[n].detach().requires_grad_()
                for n in pair.blocks
            }
            packed = {**packed, **own}
            total, values = self._total(pair, loss, packed, batch)
            return values, torch.autograd.grad(
                total, [packed[block] for block in pair.blocks], create_graph=differentiable
            )

    def _total(
        self, pair: Pair, loss: Loss, packed: dict[str, Tensor], batch: Any
    ) -> tuple[Tensor, Tensor]:
        """The sum of the losses of all runs, and each."""
        values = _shaped(
            f"loss {pair.loss!r}", loss(self.unpack(packed), batch), (len(packed[pair.blocks[0]]),)
        )
        return values.sum(), values

    def _combine(
        self,
        block: str,
        gradients: dict[tuple[int, str], Tensor],
        weights: Tensor | None,
        used: Bool[Tensor, "num_envs pairs"],
    ) -> tuple[Tensor | None, Tensor]:
        """The weighted gradient of a block over the pairs in use, finite everywhere, and the runs
        that have one.

        Without weights every run uses one pair. None where nothing was computed for the block,
        which no run updates then.
        """
        total, users = (
            None,
            [index for index, pair in enumerate(self.pairs) if block in pair.blocks],
        )
        for index in users:
            if (index, block) in gradients:
                part = gradients[index, block]
                part = part if weights is None else part * weights[:, index : index + 1]
                rest = total if weights is None and total is not None else 0.0
                part = torch.where(used[:, index : index + 1], part, rest)
                total = part if weights is None or total is None else total + part
        return total, (used if len(users) == len(self.pairs) else used[:, users]).any(dim=1)


def _norm(parts: list[Tensor]) -> Float[Tensor, " num_envs"]:
    """‖·‖₂ / √dim of the vector that the parts (num_envs, size) make up."""
    squares = [(part * part).sum(dim=1) for part in parts]
    return torch.sqrt(sum(squares[1:], squares[0]) / sum(part.shape[1] for part in parts))


def _chosen(choice: np.ndarray) -> list[int]:
    """The pairs that some run chose, in order."""
    return np.flatnonzero(np.bincount(choice)).tolist()


def _shaped(name: str, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`values`, if they have the shape that the author of a task has to return."""
    if tuple(values.shape) != shape:
        raise ValueError(
            f"{name} returned shape {tuple(values.shape)}, expected {shape}: one row for each run"
        )
    return values


def _pack(block: Any) -> Tensor:
    leaves = [
        leaf.reshape(len(leaf), -1)
        for leaf in (block.values() if isinstance(block, dict) else [block])
    ]
    return leaves[0] if len(leaves) == 1 else torch.cat(leaves, dim=1)


def _view(packed: Tensor, shapes: Any) -> Any:
    """Views of the packed block (num_envs, size) in the author's shapes."""
    if not isinstance(shapes, dict):
        return packed.view(-1, *shapes)
    parts = packed.split([math.prod(shape) for shape in shapes.values()], dim=1)
    return {
        n: part.reshape(-1, *shape) for (n, shape), part in zip(shapes.items(), parts, strict=True)
    }


def _rows(used: Bool[Tensor, " num_envs"]) -> Int64[Tensor, " rows"] | None:
    """The runs that use a pair; None stands for all, and for where finding them would make the host
    wait for the device.
    """
    if len(used) == 1 or not _is_eager_on_cpu(used) or bool(used.all()):
        return None
    return used.nonzero().squeeze(1)


def _is_eager_on_cpu(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu" and not torch.compiler.is_compiling()


def _scatter(values: Tensor, rows: Tensor | None, num_envs: int) -> Tensor:
    if rows is None:
        return values
    return values.new_zeros(num_envs, *values.shape[1:]).index_copy(0, rows, values)
