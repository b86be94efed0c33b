"""Tensor programs on the device `meta`, under the rules of a GPU.

Tensors there have shapes and no numbers, so that every program costs next to nothing and none can
read a number. PyTorch lets some operations mix `meta` with the CPU which on a GPU are errors; the
mode below refuses them.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import autoloss_gym
from tests.support.known_shapes import KnownShapes

PACKAGE = Path(autoloss_gym.__file__).parent
_aten = torch.ops.aten
_COPIES = (_aten._to_copy, _aten.copy_)
_READS = (_aten._local_scalar_dense, _aten.equal, _aten.nonzero, _aten.masked_select)
# After a decomposition the host looks at the status of the solver.
_SOLVERS = (_aten._linalg_eigh, _aten.linalg_eigh, _aten.linalg_svd, _aten._linalg_svd)
_SHAPES = KnownShapes()
Place = tuple[str, str]  # a file of the package and a function in it


class AsOnAGpu(TorchDispatchMode):
    """Refuses operations on tensors of two devices, and waits of the host without a reason.

    Args:
        waits: places that may make the host wait. What they read are zeros.
        answers: what a place reads instead, from what it asks for.

    Attributes:
        waited: how often the host waited at each place.
        uploaded: how often numbers went from the host to the device at each place, for which it
            waits as well.
    """

    def __init__(
        self,
        waits: set[Place],
        answers: dict[Place, Callable[[Tensor], Tensor]] | None = None,
    ) -> None:
        super().__init__()
        self.waits = waits
        self.answers = answers or {}
        self.waited: Counter[Place] = Counter()
        self.uploaded: Counter[Place] = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        packet = function.overloadpacket
        tensors = _tensors_in((*args, *kwargs.values()))
        devices = {each.device.type for each in tensors if each.dim() or each.is_meta}
        if packet in _COPIES:
            return self._copy(function, args, kwargs)
        if len(devices) > 1:
            shapes = [(each.device.type, tuple(each.shape)) for each in tensors]
            raise RuntimeError(f"{function} of tensors on two devices: {shapes}")
        if "meta" in devices:
            if packet in _READS or _is_chosen_by_mask(packet, args):
                raise RuntimeError(f"{function} makes the host wait in {_place()}")
            if packet in _SOLVERS:
                self._wait(function)
            return _SHAPES.answer(function, args, kwargs)
        return function(*args, **kwargs)

    def _copy(self, function: Any, args: Any, kwargs: Any) -> Any:
        """A copy to a tensor (`copy_`), or to the device of an argument (`_to_copy`)."""
        if function.overloadpacket is _aten.copy_:
            target, source = args[0].device, args[1]
        else:
            source = args[0]
            target = torch.device(kwargs.get("device") or source.device)
        if source.is_meta and target.type != "meta":
            return self._read(function, source, kwargs)
        if target.type == "meta" and not source.is_meta:
            self.uploaded[_place()] += 1
        return function(*args, **kwargs)

    def _read(self, function: Any, source: Tensor, kwargs: Any) -> Tensor:
        place = self._wait(function)
        dtype = kwargs.get("dtype") or source.dtype
        read = torch.zeros(source.shape, dtype=dtype, device="cpu")
        return self.answers[place](read) if place in self.answers else read

    def _wait(self, function: Any) -> Place:
        place = _place()
        if place not in self.waits:
            raise RuntimeError(f"{function} makes the host wait in {place}")
        self.waited[place] += 1
        return place


def _tensors_in(values: Iterable[Any]) -> list[Tensor]:
    """Those among the arguments of an operation, and in lists of them."""
    found = []
    for each in values:
        if isinstance(each, Tensor):
            found.append(each)
        elif isinstance(each, list | tuple):
            found += _tensors_in(each)
    return found


def _is_chosen_by_mask(packet: Any, args: Any) -> bool:
    """Whether elements are chosen by a mask: the host waits for their number."""
    if packet not in (_aten.index, _aten.index_put, _aten.index_put_):
        return False
    return any(index is not None and index.dtype == torch.bool for index in args[1])


def _place() -> Place:
    """The innermost function of the package that is being called."""
    frame = sys._getframe()
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE):
            # Without the comprehensions and functions within it.
            name = frame.f_code.co_qualname.partition(".<locals>")[0]
            return str(path.relative_to(PACKAGE)), name
        frame = frame.f_back
    return "", ""
