"""Losses, gradient norms and gradients of many runs: one backward for each pair serves all runs."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from autoloss_gym.core.blocks import OnDemand, pack
from autoloss_gym.core.loss import BUFFERS, Buffered, Buffers, ClosedForm, Loss, Packed
from autoloss_gym.core.task import Evaluation, Pair
from autoloss_gym.tools import tree
from autoloss_gym.tools.compiling import is_eager_on_cpu
from autoloss_gym.tools.tree import Parameters

# Values (num_envs,) of a loss, its gradients by the blocks of a pair, and the buffers it changes.
Parts = tuple[Tensor, tuple[Tensor, ...], Buffers]


@dataclass(frozen=True, eq=False)
class PartialGradient:
    """The gradient of a block for the runs `rows`, or where that is None for all, and the sum of
    its squares before it is clipped.
    """

    values: Float[Tensor, "rows _"]
    rows: Int64[Tensor, " rows"] | None
    squares: Float[Tensor, " rows"]

    def of_all(self, num_envs: int) -> Float[Tensor, "num_envs _"]:
        """With 0 for the other runs."""
        return _scatter(self.values, self.rows, num_envs)


Gradients = dict[tuple[int, str], PartialGradient]  # by number of the pair and block


@dataclass(frozen=True, eq=False)
class Differentiator:
    """Differentiates each pair's loss by the pair's own blocks.

    Args:
        pairs: the arms.
        losses: every loss by name.
        unpack: packed blocks → parameters as the losses take them.
        runs_at_once: runs that are computed together on the CPU.
    """

    pairs: tuple[Pair, ...]
    losses: Mapping[str, Loss]
    unpack: Callable[[Packed], Parameters]
    runs_at_once: int

    def measure(
        self,
        packed: Packed,
        batch: Any,
        used: Bool[Tensor, "num_envs pairs"],
        indices: Iterable[int],
        differentiable: bool,
        buffers: Buffers,
    ) -> tuple[Evaluation, Gradients, Buffers]:
        """Losses, norms and gradients of the pairs `indices`; what is not computed is 0.

        The buffers are those after all losses that a run uses, one after another.
        """
        num_envs = len(used)
        zeros = torch.zeros_like(used[:, 0], dtype=torch.float32)
        losses = [zeros] * len(self.pairs)
        norms = [zeros] * len(self.pairs)
        gradients: Gradients = {}
        for index in indices:
            pair = self.pairs[index]
            rows = None if pair.cheap else _rows(used[:, index])
            if rows is not None and not len(rows):
                continue
            values, parts, changed = self._by_chunks(
                pair, packed, batch, buffers, rows, differentiable
            )
            if changed:
                buffers = {**buffers, **_taken(buffers, changed, rows, used[:, index])}
            with torch.set_grad_enabled(differentiable):
                squares = [(part * part).sum(dim=1) for part in parts]
            size = sum(part.shape[1] for part in parts)
            norm = torch.sqrt(sum(squares[1:], squares[0]).detach() / size)  # ‖·‖₂ / √dim
            losses[index] = _scatter(values.detach(), rows, num_envs)
            norms[index] = _scatter(norm, rows, num_envs)
            for block, part, square in zip(pair.blocks, parts, squares, strict=True):
                gradients[index, block] = PartialGradient(part, rows, square)
        evaluation = Evaluation(
            losses=torch.stack(losses, dim=1),
            gradient_norms=torch.stack(norms, dim=1),
            measured=used,
        )
        return evaluation, gradients, buffers

    def _by_chunks(
        self,
        pair: Pair,
        packed: Packed,
        batch: Any,
        buffers: Buffers,
        rows: Tensor | None,
        differentiable: bool,
    ) -> Parts:
        """Of one loss for the runs `rows`, or where that is None for all."""
        inputs = (batch, dict(buffers))
        parts = []
        for chunk in self._chunks(pair, packed, rows):
            if chunk is None:
                parts.append(self._gradients(pair, dict(packed), *inputs, differentiable))
                continue
            chosen = tree.select(inputs, chunk)
            # A loss has no use for most blocks of other pairs.
            blocks = OnDemand(packed, functools.partial(_rows_of, packed, chunk))
            parts.append(self._gradients(pair, blocks, *chosen, differentiable))
        if len(parts) == 1:
            return parts[0]
        values, gradients, changed = zip(*parts, strict=True)
        joined = tuple(torch.cat(each) for each in zip(*gradients, strict=True))
        merged = {name: torch.cat([each[name] for each in changed]) for name in changed[0]}
        return torch.cat(values), joined, merged

    def _chunks(self, pair: Pair, packed: Packed, rows: Tensor | None) -> Sequence[Tensor | None]:
        """Which runs are computed together: on the CPU, more of them would leave its caches."""
        size = self.runs_at_once
        if rows is not None:
            return [rows] if len(rows) <= size else rows.split(size)
        block = packed[pair.blocks[0]]
        if pair.cheap or len(block) <= size or not is_eager_on_cpu(block):
            return [None]
        rows = torch.arange(len(block), dtype=torch.int64, device=block.device)
        return rows.split(size)

    def _gradients(
        self,
        pair: Pair,
        packed: Packed,
        batch: Any,
        buffers: dict[str, Tensor],
        differentiable: bool,
    ) -> Parts:
        """Of one loss for the runs that these are."""
        loss = self.losses[pair.loss]
        if isinstance(loss, ClosedForm):
            with torch.set_grad_enabled(differentiable):
                if loss.packed is not None:
                    values, written = loss.packed(packed, batch)
                else:
                    parameters = self._parameters(packed, {})
                    values, written = loss.value_and_gradient(parameters, batch)
                parts = tuple(_packed(written[block], len(pair.blocks)) for block in pair.blocks)
                return values, parts, {}
        if torch.compiler.is_compiling():
            return self._compiled_gradients(pair, packed, batch, buffers)
        with torch.enable_grad():
            own = {block: _leaf(packed[block]) for block in pair.blocks}
            parameters = self._parameters(packed, own)
            total, (values, changed) = self._total(pair, parameters, batch, buffers, own)
            gradients = torch.autograd.grad(total, list(own.values()), create_graph=differentiable)
        return values, gradients, changed

    def _compiled_gradients(
        self, pair: Pair, packed: Packed, batch: Any, buffers: dict[str, Tensor]
    ) -> Parts:
        """The same with `torch.func`: PyTorch's compiler does not trace `torch.autograd.grad`."""

        # Not annotated in full: PyTorch's compiler does not trace such types.
        def total(blocks: dict[str, Tensor]) -> Any:
            return self._total(pair, self._parameters(packed, blocks), batch, buffers, blocks)

        own = {block: packed[block] for block in pair.blocks}
        gradients, (values, changed) = torch.func.grad(total, has_aux=True)(own)
        return values, tuple(gradients[block] for block in pair.blocks), changed

    def value(self, pair: Pair, parameters: Parameters, batch: Any) -> Float[Tensor, " num_envs"]:
        """The loss of a pair for all runs, with its graph."""
        loss = self.losses[pair.loss]
        result = loss(parameters, batch)
        return result[0] if isinstance(loss, Buffered) else result

    def _parameters(self, packed: Packed, own: Packed) -> Parameters:
        """All blocks as the losses take them, those of `own` instead of the packed ones."""
        if torch.compiler.is_compiling():
            return self.unpack({**packed, **own})

        def unpacked(name: str) -> Any:
            return self.unpack({name: own[name] if name in own else packed[name]})[name]

        return OnDemand(packed, unpacked)

    def _total(
        self, pair: Pair, parameters: Parameters, batch: Any, buffers: Buffers, own: Packed
    ) -> tuple[Tensor, tuple[Float[Tensor, " num_envs"], Buffers]]:
        """The sum of a loss over all runs, which share nothing; each run's own, and its buffers."""
        loss = self.losses[pair.loss]
        result = loss(with_buffers(parameters, buffers), batch)
        values, changed = result if isinstance(loss, Buffered) else (result, {})
        check_shape(f"loss {pair.loss!r}", values, (len(own[pair.blocks[0]]),))
        return values.sum(), (values, changed)


def with_buffers(parameters: Parameters, buffers: Buffers) -> Parameters:
    """What the functions of a task are given: its parameters, and its buffers where it has any."""
    return {**parameters, BUFFERS: buffers} if buffers else parameters


def check_shape(name: str, values: Tensor, shape: tuple[int, ...]) -> None:
    """ValueError if the values do not have the shape that the author of a task has to return."""
    if tuple(values.shape) != shape:
        raise ValueError(
            f"{name} returned shape {tuple(values.shape)}, expected {shape}: one row for each run"
        )


def _taken(
    buffers: Buffers, changed: Buffers, rows: Tensor | None, used: Bool[Tensor, " num_envs"]
) -> Buffers:
    """The buffers that a loss has changed, for the runs that use it; `changed` is of `rows`."""
    old = {name: buffers[name] for name in changed}
    if rows is None:
        return tree.where(used, dict(changed), old)
    return tree.map_tensors(lambda leaf, new: leaf.index_copy(0, rows, new), old, changed)


def _packed(gradient: Any, num_blocks: int) -> Float[Tensor, "num_envs size"]:
    """A gradient, copied where it may be another block, whose step would change it too early."""
    packed = pack(gradient)
    is_joined = isinstance(gradient, dict) and len(gradient) > 1
    return packed if num_blocks == 1 or is_joined else packed.clone()


def _leaf(packed: Tensor) -> Tensor:
    """What to differentiate by: the block itself where a graph leads on from it."""
    return packed if packed.requires_grad else packed.detach().requires_grad_()


def _rows(used: Bool[Tensor, " num_envs"]) -> Int64[Tensor, " rows"] | None:
    """The runs that use a pair; None stands for all.

    None as well where finding them would make the host wait for the device: masks then do the rest.
    """
    if len(used) == 1 or not is_eager_on_cpu(used) or bool(used.all()):
        return None
    return used.nonzero().squeeze(1)


def _rows_of(packed: Packed, rows: Int64[Tensor, " rows"], name: str) -> Tensor:
    """A block of some runs, copied."""
    return packed[name].index_select(0, rows)


def _scatter(values: Tensor, rows: Tensor | None, num_envs: int) -> Tensor:
    """Values of the runs `rows` at their places among all runs, which have 0 elsewhere."""
    if rows is None:
        return values
    return values.new_zeros(num_envs, *values.shape[1:]).index_copy(0, rows, values)
