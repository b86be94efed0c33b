"""What eager and compiled programs need to agree: constants of graphs, and where a program runs."""

import functools
import sys
import types
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

# What compiles the frames that run at the moment, if anything does. Where a PyTorch does not tell,
# something may.
_callback: Callable[[], Any] = getattr(
    torch._C._dynamo.eval_frame, "get_eval_frame_callback", lambda: True
)
# Whether a tensor is one that `torch.func` has put around another, as in `vmap`.
_is_wrapped: Callable[[Tensor], bool] = getattr(
    torch._C._functorch, "is_functorch_wrapped_tensor", lambda tensor: True
)
Result = TypeVar("Result")
Function = TypeVar("Function", bound=Callable[..., Any])


def graph_constant(maxsize: int = 64) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Decorates a function of hashable arguments whose result never changes.

    It is computed once for each set of arguments, and a compiled program holds what it returns
    instead of tracing it.

    Args:
        maxsize: number of results that are kept.
    """

    def decorate(function: Callable[..., Result]) -> Callable[..., Result]:
        cached = functools.lru_cache(maxsize)(function)

        @functools.wraps(function)
        def constant(*arguments: Any) -> Result:
            return cached(*arguments)

        # What `torch.compiler.assume_constant_result` sets. Calling that here would import
        # PyTorch's compiler, which takes as long as PyTorch itself, for everyone who imports a
        # weighting rule.
        constant._dynamo_marked_constant = True  # type: ignore[attr-defined]
        constant.cache_clear = cached.cache_clear  # type: ignore[attr-defined]
        return constant

    return decorate


def uncompiled(function: Function) -> Function:
    """Decorates a function that a compiled program calls as it is, between two graphs."""
    without_compiler: list[Any] = []

    @functools.wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        # `torch.compiler.disable` would import PyTorch's compiler, and takes a while at each call;
        # it is for what a compiled program has called.
        if "torch._dynamo" not in sys.modules or _callback() is None:
            return function(*arguments, **keywords)
        if not without_compiler:
            without_compiler.append(torch.compiler.disable(function))
        return without_compiler[0](*arguments, **keywords)

    call._torchdynamo_disable = True  # type: ignore[attr-defined]
    return cast(Function, call)


def is_eager_on_cpu(tensor: Tensor) -> bool:
    """Whether the host may look at the tensor without waiting for a device or breaking a graph."""
    return tensor.device.type == "cpu" and not torch.compiler.is_compiling()


def is_plain_on_cpu(tensor: Tensor) -> bool:
    """Whether the tensor's memory is that of the host, and NumPy may look at it: no compiler, no
    `torch.func` and no subclass stands between.
    """
    return type(tensor) is Tensor and is_eager_on_cpu(tensor) and not _is_wrapped(tensor)


def compiled(program: Any) -> Any:
    """`program` compiled for the shapes that it meets.

    It gets a code object of its own, because PyTorch counts for each how often it was compiled and
    stops at a limit.

    Raises:
        RuntimeError: at a call, in one line: the program cannot be compiled.
    """
    own = types.FunctionType(
        program.__code__.replace(),
        program.__globals__,
        program.__name__,
        closure=program.__closure__,
    )
    made = torch.compile(own, fullgraph=True, dynamic=False)

    def call(*arguments: Any) -> Any:
        try:
            return made(*arguments)
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            raise RuntimeError(
                f"compile=True: {program.__name__} could not be compiled ({reason}); "
                "use compile=False"
            ) from error

    return call
