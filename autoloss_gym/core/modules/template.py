"""One `nn.Module` that stands for all runs: their tensors take the places of its own in a call."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from autoloss_gym.tools.names import shown

Function = Callable[[Any, Any], Any]
Tensors = Mapping[str, Tensor]
Buffers = dict[str, Tensor]
PROBE_SEED = 0  # of the module whose structure all others share


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """PyTorch's generator of the CPU starts from the seed, and goes on as before afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


class Template:
    """A module whose tensors are replaced during a call.

    Args:
        factory: makes a module; what it draws follows from PyTorch's generator.
        training: whether the module is in its mode for training.

    Attributes:
        module: the one whose tensors are replaced; their own values mean nothing.
        names: of parameters that are trained, each once even where modules share it.
        constants: of parameters that are not (`requires_grad=False`).
        buffers: names of buffers.
        shared: names of a shared parameter, and the one among `names` that stands for them.

    Raises:
        ValueError: the factory makes no module, the same one twice, or one with lazy parameters.
    """

    def __init__(self, factory: Callable[[], nn.Module], training: bool = True) -> None:
        self._factory = factory
        self._training = training
        self.module = made(factory, PROBE_SEED)
        if made(factory, PROBE_SEED) is self.module:
            raise ValueError(
                "module: the factory returns the same module twice; expected a new one at each "
                "call, such as lambda: Net()"
            )
        self.module.train(training)
        self.names, self.constants = _parameter_names(self.module)
        self.buffers = [name for name, _ in self.module.named_buffers()]
        self.shared: dict[str, str] = {}
        self._slots = self._found_slots()

    def _found_slots(self) -> list[tuple[dict[str, Any], str, str]]:
        """Every place of a tensor: the dict that holds it, its name there, and its name in all."""
        first: dict[int, str] = {}
        for name, tensor in (*self.module.named_parameters(), *self.module.named_buffers()):
            first[id(tensor)] = name
        slots = []
        for path, part in self.module.named_modules():
            for held in (part._parameters, part._buffers):
                for name, tensor in held.items():
                    if tensor is None:
                        continue
                    full = f"{path}.{name}" if path else name
                    slots.append((held, name, first[id(tensor)]))
                    if full != first[id(tensor)]:
                        self.shared[full] = first[id(tensor)]
        return slots

    def build(self, seeds: Sequence[int]) -> dict[str, Tensor]:
        """Parameters and buffers of new modules: stacked (runs, …), on the CPU.

        Args:
            seeds: of the runs, each of which alone decides what its module starts from.
        """
        rows = []
        for seed in seeds:
            module = made(self._factory, seed)
            tensors = dict((*module.named_parameters(), *module.named_buffers()))
            rows.append({name: tensor.detach() for name, tensor in tensors.items()})
        self._check_alike(rows)
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def _check_alike(self, rows: Sequence[Tensors]) -> None:
        own = dict((*self.module.named_parameters(), *self.module.named_buffers()))
        expected = {name: tensor.shape for name, tensor in own.items()}
        for row in rows:
            if {name: tensor.shape for name, tensor in row.items()} != expected:
                raise ValueError(
                    "module: two calls of the factory made modules with other parameters; expected "
                    "one structure for all runs"
                )

    def caller(self, function: Function) -> "Caller":
        """The function with the module, as PyTorch's compiler wants it."""
        return Caller(self.module, function)

    def call(self, caller: "Caller", tensors: Tensors, batch: Any) -> tuple[Any, Buffers]:
        """`function(module, batch)` with these tensors in the module, and the buffers afterwards.

        Args:
            caller: of the function.
            tensors: all parameters and buffers by name; the buffers are not written to.
            batch: of one run.
        """
        tensors = dict(tensors)
        for name in self.buffers:
            tensors[name] = tensors[name].clone()
        if torch.compiler.is_compiling():
            wrapped = {f"module.{name}": tensor for name, tensor in tensors.items()}
            value = torch.func.functional_call(caller, wrapped, (batch,))
            return value, {name: wrapped[f"module.{name}"].detach() for name in self.buffers}

        # What `functional_call` does, at a fifth of its cost.
        own = [held[name] for held, name, _ in self._slots]
        for held, name, full in self._slots:
            held[name] = tensors[full]
        try:
            value = caller.function(self.module, batch)
            after = {full: held[name] for held, name, full in self._slots}
        finally:
            for (held, name, _), tensor in zip(self._slots, own, strict=True):
                held[name] = tensor
            # A function of the user's may have changed it.
            if self.module.training != self._training:
                self.module.train(self._training)
        return value, {name: after[name].detach() for name in self.buffers}


class Caller(nn.Module):
    """A module that calls a function with another one."""

    def __init__(self, module: nn.Module, function: Function) -> None:
        super().__init__()
        self.module = module
        self.function = function
        # Its mode is set when it is made: here it must be that of the module.
        self.training = module.training

    def forward(self, batch: Any) -> Any:
        """The function of module and batch."""
        return self.function(self.module, batch)


def made(factory: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A module of the factory, whose draws follow from the seed, on the CPU.

    Raises:
        ValueError: it is no module, or has parameters without a shape.
    """
    if isinstance(factory, nn.Module) or not callable(factory):
        raise ValueError(
            f"module={shown(factory)}: expected a function that makes a new nn.Module, such as "
            "lambda: Net(): every run starts from a module of its own"
        )
    with seeded(seed):
        module = factory()
    if not isinstance(module, nn.Module):
        raise ValueError(f"module: the factory returned {shown(module)}; expected an nn.Module")
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if is_lazy(tensor):
            raise ValueError(
                f"module: {name!r} has no shape yet; call the module on an example in the factory "
                "before you return it"
            )
    return module.cpu()


def _parameter_names(module: nn.Module) -> tuple[list[str], list[str]]:
    """Names of the parameters that are trained, and of those that are not."""
    trained: list[str] = []
    constant: list[str] = []
    for name, parameter in module.named_parameters():
        (trained if parameter.requires_grad else constant).append(name)
    if not trained:
        raise ValueError("module: it has no parameters that require a gradient")
    return trained, constant
