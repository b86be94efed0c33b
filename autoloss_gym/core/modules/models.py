"""The modules of all runs: made from their keys, and called by lifted functions."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Int64
from torch import Tensor, nn

from autoloss_gym.core.modules.lifting import Lifted
from autoloss_gym.core.modules.template import Template
from autoloss_gym.core.state import Keys


class Modules:
    """Modules of a task.

    Args:
        factory: makes a new one.
        drawing: names of the functions that draw random numbers.
        vectorize: whether `torch.func.vmap` is tried.
    """

    def __init__(
        self, factory: Callable[[], nn.Module], drawing: frozenset[str], vectorize: bool
    ) -> None:
        self.template = Template(factory)
        self._evaluated = Template(factory, training=False)
        self._drawing = drawing
        self._vectorize = vectorize
        self._lifted: dict[str, Lifted] = {}
        self._last: tuple[Tensor, dict[str, Tensor]] | None = None

    def build(self, keys: Keys) -> dict[str, Tensor]:
        """Parameters and buffers of new modules, (num_envs, …), functions of `keys.run` alone."""
        # Parameters and buffers of one reset are asked for one after the other.
        if self._last is None or self._last[0] is not keys.run:
            made = self.template.build(on_host(keys.run))
            device = keys.run.device
            self._last = keys.run, {name: each.to(device) for name, each in made.items()}
            return self._last[1]
        _, tensors = self._last
        self._last = None
        return tensors

    def uncompilable(self) -> str:
        """Why some function cannot be compiled; "" where all can."""
        if not self._vectorize:
            return "vectorize=False computes one run after another"
        if self._drawing:
            return f"{min(self._drawing)} draws random numbers from the keys of the runs"
        for name, function in self._lifted.items():
            if function.is_looped:
                return f"{name} runs in a loop over the runs"
        return ""

    def lifted(self, name: str, function: Callable[[Any, Any], Any], training: bool) -> Lifted:
        """The function for many runs, made once for each name."""
        if name not in self._lifted:
            template = self.template if training else self._evaluated
            draws = name in self._drawing
            self._lifted[name] = Lifted(name, function, template, draws, self._vectorize)
        return self._lifted[name]


def on_host(keys: Int64[Tensor, " num_envs"]) -> list[int]:
    """The keys as plain numbers."""
    return keys.cpu().tolist()
