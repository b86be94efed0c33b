"""Figures of many runs, computed for not too many of them at once."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.core.differentiation import check_shape, with_buffers
from autoloss_gym.core.state import State
from autoloss_gym.tools import tree
from autoloss_gym.tools.compiling import is_eager_on_cpu
from autoloss_gym.tools.tree import Parameters


def by_chunks(
    name: str,
    values: Callable[[Parameters, Any], Tensor],
    unpack: Callable[[Mapping[str, Tensor]], Parameters],
    state: State,
    runs_at_once: int,
    width: int,
) -> Float[Tensor, "num_envs metrics"]:
    """Metrics of all runs, without a graph.

    Args:
        name: of the function, for errors.
        values: (parameters, data) → (runs, width).
        unpack: packed blocks → parameters as the function takes them.
        state: of all runs.
        runs_at_once: runs that are computed together on the CPU.
        width: number of metrics.

    Raises:
        ValueError: the function returned another shape.
    """
    num_envs = len(state.steps)
    size = runs_at_once if is_eager_on_cpu(state.steps) else num_envs
    inputs = (state.parameters, state.data, state.buffers)
    parts = []
    for first in range(0, num_envs, size):
        last = min(first + size, num_envs)
        chunk = inputs if size >= num_envs else between(inputs, first, last)
        packed, data, buffers = tree.map_tensors(Tensor.detach, chunk)
        # A figure may have a derivative by its inputs in it; without a leaf that asks for a
        # gradient, PyTorch records nothing.
        with torch.enable_grad():
            part = values(with_buffers(unpack(packed), buffers), data).detach()
        check_shape(name, part, (last - first, width))
        parts.append(part)
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def between(inputs: Any, first: int, last: int) -> Any:
    """Views of the runs `first` … `last` − 1 of a tree."""
    return tree.map_tensors(lambda leaf: leaf[first:last], inputs)
