"""The parameters of a loop of one's own, by block, and norms of their gradients."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from autoloss_gym.signals.description import RunDescription
from autoloss_gym.tools.names import shown


class Blocks:
    """Parameters by the blocks of a description.

    Args:
        parameters: a module or parameters where there is one block; else a mapping with as many as
            there are blocks: by their names, by the names of the losses where each trains a block
            of its own, or in their order. Where the description knows no blocks, a mapping has
            those of each loss.
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
        if not names:  # a rule that knows no blocks: one for all losses, or one for each
            names = description.pairs if len(parameters) > 1 else ("parameters",)
        if len(parameters) != len(names):
            raise ValueError(
                f"parameters of {len(parameters)} blocks ({', '.join(map(str, parameters))}): "
                f"expected {len(names)}, {example_of(names)}"
            )
        for name, part in zip(names, self._in_order(parameters, names), strict=True):
            self._parts[name] = self.listed(part)

    def _in_order(self, parameters: Mapping[str, Any], names: tuple[str, ...]) -> list[Any]:
        """The parts in the order of the blocks: by their names or those of losses, else as given.

        The names of losses serve where each loss trains one block, and no two the same.
        """
        pairs = self._description.pairs
        blocks = self._description.blocks or tuple((name,) for name in pairs)
        of_losses = [blocks[pairs.index(loss)] for loss in parameters if loss in pairs]
        if set(parameters) == set(names):
            return [parameters[name] for name in names]
        if set(parameters) == set(pairs) and set(of_losses) == {(name,) for name in names}:
            return [parameters[pairs[blocks.index((name,))]] for name in names]
        return list(parameters.values())

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
        blocks = (name,) if name in self._parts else tuple(self._parts)
        if self._description.blocks:
            blocks = self._description.blocks[index]
        return [parameter for block in blocks for parameter in self._parts[block]]

    def packed(self) -> dict[str, Tensor]:
        """All numbers of each block, (1, size), float32, on the CPU."""
        found = {}
        for name, part in self._parts.items():
            flat = torch.cat([parameter.detach().flatten() for parameter in part])
            found[name] = flat.to("cpu", torch.float32)[None]
        return found

    def norm_in_gradients(self, name: str, parameters: Any = None) -> float:
        """That in the `.grad` of what a loss trains, or of these parameters."""
        own = self.of_loss(name) if parameters is None else self.listed(parameters)
        gradients = [parameter.grad for parameter in own]
        if all(gradient is None for gradient in gradients):
            raise ValueError(
                f"record(): no parameter of {name!r} has a gradient; call it after backward() and "
                "before zero_grad(), or give gradient_norm="
            )
        return gradient_norm(gradients, own)

    def norm_of(self, name: str, loss: Tensor) -> float:
        """That of a loss whose graph is there, and stays."""
        own = self.of_loss(name)
        gradients = torch.autograd.grad(loss, own, retain_graph=True, allow_unused=True)
        return gradient_norm(gradients, own)

    @staticmethod
    def listed(parameters: Any) -> list[Tensor]:
        """Those of a module, or the parameters themselves; at least one."""
        given = parameters.parameters() if isinstance(parameters, nn.Module) else parameters
        found = [given] if isinstance(given, Tensor) else given
        found = list(found) if isinstance(found, Iterable) else [found]
        if not found:
            raise ValueError("parameters=[]: expected at least one parameter")
        for each in found:
            if not isinstance(each, Tensor):
                raise ValueError(
                    f"parameters with {shown(each)}: expected a module or tensors, such as "
                    "model.parameters()"
                )
        return found


def example_of(blocks: Sequence[str]) -> str:
    """How parameters are given for such blocks."""
    if len(blocks) < 2:
        return "such as parameters=model"
    inside = ", ".join(f'"{name}": …' for name in blocks)
    return f"such as parameters={{{inside}}}, each a module or its parameters"


def gradient_norm(gradients: Sequence[Tensor | None], parameters: Sequence[Tensor]) -> float:
    """‖∇‖₂ / √(number of parameters); what has no gradient counts as 0."""
    known = [gradient.detach() for gradient in gradients if gradient is not None]
    if not known:
        return 0.0
    size = sum(parameter.numel() for parameter in parameters)
    return float(torch.nn.utils.get_total_norm(known)) / math.sqrt(size)
