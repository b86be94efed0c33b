"""The checks of annotations under pytest, three times as quick as those of jaxtyping's decorator.

That one binds the arguments of each call, and checks them before the call and once more beside what
is returned: two thirds of the time of a step of an environment. Here beartype checks each once.
"""

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

import beartype
import jaxtyping

_with_jaxtyping = jaxtyping.jaxtyped
# Sizes that have a name are the same in all arguments of a call and in what it returns.
_SIZES_OF_A_CALL = _with_jaxtyping("context")
_TYPED = beartype.beartype(conf=beartype.BeartypeConf(violation_type=jaxtyping.TypeCheckError))


def install_checks(package: str) -> None:
    """Check the annotations of all functions and dataclasses of a package that is imported later.

    Each mistake is a `jaxtyping.TypeCheckError`; `jaxtyping.config.jaxtyping_disable` is heeded.
    """
    # The import hook writes this name in front of each of them.
    jaxtyping.jaxtyped = lambda *, typechecker: checked
    jaxtyping.install_import_hook(package, "beartype.beartype")


def checked(made: Any) -> Any:
    """A function, or a class whose initialisation if it is a dataclass, that checks its calls."""
    if not inspect.isclass(made):
        return _checked_function(made)
    initialisation = made.__init__
    is_checked = getattr(initialisation, "__globals__", None) is globals()
    if dataclasses.is_dataclass(made) and not is_checked:
        made.__init__ = _checked_function(initialisation)
    return made


def _checked_function(function: Callable[..., Any]) -> Callable[..., Any]:
    if not function.__annotations__:
        return function
    has_size_of_argument = any("{" in repr(each) for each in function.__annotations__.values())
    # beartype alone would look at what a generator yields, and knows no sizes like "{length}".
    if has_size_of_argument or inspect.isgeneratorfunction(function):
        return _with_jaxtyping(function, typechecker=beartype.beartype)
    typed = _TYPED(_resolved(function))

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        __tracebackhide__ = True
        if jaxtyping.config.jaxtyping_disable:
            return function(*arguments, **named)
        with _SIZES_OF_A_CALL:
            return typed(*arguments, **named)

    return call


def _resolved(function: Any) -> types.FunctionType:
    """A copy whose annotations are no texts; those that have no meaning at run time are `Any`."""
    copy = types.FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__module__, copy.__qualname__ = function.__module__, function.__qualname__
    copy.__annotations__ = {
        name: _meaning(annotation, function.__globals__)
        for name, annotation in function.__annotations__.items()
    }
    return copy


def _meaning(annotation: Any, names: dict[str, Any]) -> Any:
    def holder(value: Any) -> None: ...

    holder.__annotations__ = {"value": annotation}
    try:
        return typing.get_type_hints(holder, names, include_extras=True)["value"]
    except Exception:
        return Any
