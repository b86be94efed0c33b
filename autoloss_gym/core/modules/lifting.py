"""Functions of one run made into functions of many: by `torch.func.vmap`, or in a loop."""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym.core.modules.draws import keyed
from autoloss_gym.core.modules.template import Template
from autoloss_gym.tools import tree
from autoloss_gym.tools.memory import is_out_of_memory
from autoloss_gym.tools.names import one_line, shown

_FEW = 2  # runs that a loop computes sooner than one vectorised program
_REASON = 160  # characters


@dataclass(eq=False)
class Lifted:
    """A user's function of one run, (module, batch) → scalar, for many runs.

    Args:
        name: of the loss or metric, for errors.
        function: the user's.
        template: the module, in its mode for training or in the other.
        draws: whether the function draws random numbers.
        vectorize: whether to try `torch.func.vmap`; else runs are computed one after another.
    """

    name: str
    function: Callable[[Any, Any], Any]
    template: Template
    draws: bool
    vectorize: bool = True
    _refused: set[str] = field(default_factory=set)  # kinds of devices on which it cannot

    def __post_init__(self) -> None:
        self._caller = self.template.caller(self.function)

    def __call__(
        self,
        tensors: Mapping[str, Tensor],
        batch: Any,
        is_shared: bool,
        keys: Int64[Tensor, " num_envs"] | None,
    ) -> tuple[Float[Tensor, " num_envs"], dict[str, Tensor]]:
        """Values of all runs, and the buffers of each afterwards.

        Args:
            tensors: all parameters and buffers by name, (num_envs, …).
            batch: a tree of tensors, (num_envs, …), or without that dimension where all runs share
                it.
            is_shared: whether they do.
            keys: for the draws of each run; None where the function draws nothing.
        """
        if torch.compiler.is_compiling():
            return self._at_once(tensors, batch, is_shared, keys)
        first = next(iter(tensors.values()))
        kind = first.device.type
        if not self.vectorize or kind in self._refused or len(first) <= _FEW:
            return self._one_by_one(tensors, batch, is_shared, keys)
        try:
            with _attention_that_can_be_lifted(kind):
                return self._at_once(tensors, batch, is_shared, keys)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            # A fault of the function itself is said here, in PyTorch's own words.
            result = self._one_by_one(tensors, batch, is_shared, keys)
            self._refused.add(kind)
            self._tell(error)
            return result

    @property
    def is_looped(self) -> bool:
        """Whether runs are computed one after another, on some device."""
        return len(self._refused) > 0

    def _at_once(
        self, tensors: Mapping[str, Tensor], batch: Any, is_shared: bool, keys: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        in_key = None if keys is None else 0
        lifted = torch.func.vmap(self._of_one, in_dims=(0, None if is_shared else 0, in_key))
        values, buffers = lifted(dict(tensors), batch, keys)
        return values, buffers

    def _one_by_one(
        self, tensors: Mapping[str, Tensor], batch: Any, is_shared: bool, keys: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        rows = {name: tensor.unbind(0) for name, tensor in tensors.items()}
        results = []
        num_envs = len(next(iter(tensors.values())))
        for index in range(num_envs):
            key = None if keys is None else keys[index]
            own = {name: row[index] for name, row in rows.items()}
            part = _alias(batch, None if is_shared else index)
            with self._generator(key):
                results.append(self._of_one(own, part, key))
        values, buffers = zip(*results, strict=True)
        stacked = {name: torch.stack([each[name] for each in buffers]) for name in buffers[0]}
        return torch.stack(values), stacked

    def _generator(self, key: Tensor | None) -> contextlib.AbstractContextManager[Any]:
        """For draws that are not known by their functions, such as those within an RNN."""
        if key is None or key.is_meta:
            return contextlib.nullcontext()
        return _seeded_on(key)

    def _of_one(
        self, tensors: dict[str, Tensor], batch: Any, key: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        with contextlib.nullcontext() if key is None else keyed(key):
            value, buffers = self.template.call(self._caller, tensors, batch)
        return scalar(self.name, value).to(torch.float32), buffers

    def _tell(self, error: Exception) -> None:
        reason = one_line(str(error), _REASON)
        advice = ""
        if "requires_grad_" in str(error):
            advice = "; torch.func.grad, in place of torch.autograd.grad, can be lifted"
        warnings.warn(
            f"{self.name} is computed for one run after another, because torch.func.vmap cannot "
            f"lift it ({type(error).__name__}: {reason}){advice}",
            stacklevel=2,
        )


def _alias(batch: Any, index: int | None) -> Any:
    """The batch of one run, or where that is None all of it.

    A function may ask for gradients by these tensors, and leaves those of the task as they are.
    """

    def taken(leaf: Tensor) -> Tensor:
        return leaf.detach() if index is None else leaf[index].detach()

    return tree.map_tensors(taken, batch)


def scalar(name: str, value: Any) -> Tensor:
    """What a user's function has returned, if it is one number.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, Tensor) and not value.dim():
        return value
    got = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else shown(value)
    raise ValueError(
        f"{name} returned {got}; expected a tensor without dimensions: one number for the run, "
        "such as errors.square().mean()"
    )


@contextlib.contextmanager
def _attention_that_can_be_lifted(kind: str) -> Iterator[None]:
    """Without fused programs of PyTorch that would be computed for one run after another."""
    fused = torch.backends.cuda.flash_sdp_enabled()  # holds for the CPU as well
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    if kind == "cpu":
        torch.backends.cuda.enable_flash_sdp(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        torch.backends.cuda.enable_flash_sdp(fused)


@contextlib.contextmanager
def _seeded_on(key: Tensor) -> Iterator[None]:
    """PyTorch's generator of the CPU and of the key's device start from the key."""
    seed = int(key)
    devices = [key.device] if key.is_cuda else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed(seed)
        yield
