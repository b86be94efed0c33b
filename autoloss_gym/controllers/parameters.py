"""The parameters of a loop of one's own, by block, and norms of their gradients."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from autoloss_gym.signals.description import RunDescription


class Blocks:
    """Parameters by the blocks of a description.

    Args:
        parameters: a module or parameters where there is one block; else a mapping with as many as
            there are blocks, in their order.
        description: names the blocks of each pair.
    """

    def __init__(self, parameters: Any, description: RunDescription) -> None:
        self._description = description
        names = tuple(dict.fromkeys(name for pair in description.blocks for name in pair))
        self._parts: dict[str, list[Tensor]] = {}
        if parameters is None:
            return
        if not isinstance(parameters, Mapping):
            parameters = {"parameters": parameters}
        names = names or ("parameters",)
        if len(parameters) != len(names):
            raise ValueError(
                f"parameters of {len(parameters)} blocks ({', '.join(parameters)}): expected "
                f"{len(names)} ({', '.join(names)})"
            )
        for name, part in zip(names, parameters.values(), strict=True):
            self._parts[name] = self.listed(part)

    @property
    def are_known(self) -> bool:
        """Whether parameters have been given."""
        return bool(self._parts)

    def of_loss(self, name: str) -> list[Tensor]:
        """What a loss trains.

        Raises:
            ValueError: no parameters have been given.
        """
        if not self._parts:
            raise ValueError(
                f"the gradient norm of {name!r} is needed: give gradient_norm=, or the parameters "
                "that this loss trains, such as parameters=model.parameters()"
            )
        index = self._description.pairs.index(name)
        blocks = self._description.blocks[index] if self._description.blocks else self._parts
        return [parameter for block in blocks for parameter in self._parts[block]]

    def packed(self) -> dict[str, Tensor]:
        """All numbers of each block, (1, size), float32, on the CPU."""
        found = {}
        for name, part in self._parts.items():
            flat = torch.cat([parameter.detach().flatten() for parameter in part])
            found[name] = flat.to("cpu", torch.float32)[None]
        return found

    @staticmethod
    def listed(parameters: nn.Module | Iterable[Tensor]) -> list[Tensor]:
        """Those of a module, or the parameters themselves; at least one."""
        given = parameters.parameters() if isinstance(parameters, nn.Module) else parameters
        found = [given] if isinstance(given, Tensor) else list(given)
        if not found:
            raise ValueError("parameters=[]: expected at least one parameter")
        return found


def gradient_norm(gradients: Sequence[Tensor | None], parameters: Sequence[Tensor]) -> float:
    """‖∇‖₂ / √(number of parameters); what has no gradient counts as 0."""
    known = [gradient.detach() for gradient in gradients if gradient is not None]
    if not known:
        return 0.0
    size = sum(parameter.numel() for parameter in parameters)
    return float(torch.nn.utils.get_total_norm(known)) / math.sqrt(size)
