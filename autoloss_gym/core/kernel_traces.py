"""Traces of the neural tangent kernels of losses that are means of squared residuals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.core.chunks import between
from autoloss_gym.core.differentiation import check_shape, with_buffers
from autoloss_gym.core.loss import Packed
from autoloss_gym.core.task import Pair
from autoloss_gym.tools.names import shown
from autoloss_gym.tools.tree import Parameters


@dataclass(frozen=True, eq=False)
class KernelTraces:
    """Tr K_k = Σ_i ‖∂r_k(x_i)/∂θ‖² of each loss k, with θ the blocks of its pair (Wang, Yu,
    Perdikaris: "When and why PINNs fail to train", J. Comput. Phys. 449, 2022, eq. 4.2).

    Exact: one backward for each point, which serves all runs.

    Args:
        pairs: the arms.
        residuals: (parameters, batch) → of each loss by name, (num_envs, points).
        unpack: packed blocks → parameters as the residuals take them.
        inputs: packed blocks, batch and buffers of all runs.
    """

    pairs: Sequence[Pair]
    residuals: Callable[[Parameters, Any], Mapping[str, Tensor]]
    unpack: Callable[[Packed], Parameters]
    inputs: tuple[Any, Any, Any]

    def __call__(self, rows: range) -> Float[Tensor, "runs pairs"]:
        """Of the runs `rows`.

        Raises:
            ValueError: the task gives no residuals, or none of some loss, or of another shape.
        """
        packed, batch, buffers = between(self.inputs, rows.start, rows.stop)
        leaves = {name: block.detach().requires_grad_() for name, block in packed.items()}
        with torch.enable_grad():
            parameters = with_buffers(self.unpack(leaves), buffers)
            residuals = self.residuals(parameters, batch)
            columns = []
            for pair in self.pairs:
                own = [leaves[block] for block in pair.blocks]
                columns.append(_trace(_of_loss(residuals, pair.loss, len(rows)), own))
        return torch.stack(columns, dim=1)


def _of_loss(
    residuals: Mapping[str, Tensor], loss: str, num_envs: int
) -> Float[Tensor, "num_envs points"]:
    if loss not in residuals:
        raise ValueError(
            f"residuals() gave those of {shown(list(residuals))}: expected some of {loss!r} as well"
        )
    values = residuals[loss]
    if values.dim() != 2:
        raise ValueError(
            f"residuals() gave shape {tuple(values.shape)} for {loss!r}: expected (num_envs, "
            "points)"
        )
    check_shape(f"residuals() of {loss!r}", values, (num_envs, values.shape[1]))
    return values


def _trace(
    residuals: Float[Tensor, "num_envs points"], blocks: Sequence[Tensor]
) -> Float[Tensor, " num_envs"]:
    """Σ_i ‖∂r(x_i)/∂θ‖² of each run, whose residuals follow from its own parameters alone."""
    total = torch.zeros_like(residuals[:, 0])
    for column in residuals.unbind(dim=1):
        # Of residuals that are linear in one block, the others do not appear.
        parts = torch.autograd.grad(
            column.sum(), blocks, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        for part in parts:
            total = total + (part * part).sum(dim=1)
    return total.detach()
