"""The checks of annotations under pytest, several times as quick as those of jaxtyping's decorator.

That one binds the arguments of each call, checks them before the call and once more beside what is
returned, and compiles its checks anew for each function that is made within another: two thirds of
the time of a step of an environment. Here each is checked once, by what was compiled once; and of
the many calls of a function in one test only the first, and then some.
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
_FIRST, _THEN = 8, 16  # calls of a function in a test: so many are checked, then each so many-th


@dataclasses.dataclass
class Checks:
    """The checks of a function, and whose turn it is.

    Args:
        arguments: takes those of a call.
        returned: takes what it returns, and returns it.
    """

    arguments: Callable[..., None]
    returned: Callable[[Any], Any]
    _test: int = -1
    _calls: int = 0

    tests: typing.ClassVar[int] = 0  # that have begun

    def are_due(self) -> bool:
        """Whether this call is one of those that are checked."""
        if self._test != Checks.tests:
            self._test, self._calls = Checks.tests, 0
        self._calls += 1
        return self._calls <= _FIRST or self._calls % _THEN == 0


_CHECKS: dict[tuple[Any, ...], Checks] = {}


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
    if any("{" in repr(each) for each in function.__annotations__.values()):
        # A size that an argument names, as in "{length}", is known to jaxtyping alone.
        return _with_jaxtyping(function, typechecker=beartype.beartype)
    checks = _checks(function)

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        __tracebackhide__ = True
        if jaxtyping.config.jaxtyping_disable or not checks.are_due():
            return function(*arguments, **named)
        with _SIZES_OF_A_CALL:
            checks.arguments(*arguments, **named)
            return checks.returned(function(*arguments, **named))

    return call


def _checks(function: Any) -> Checks:
    """The checks of a function; those that differ in what they enclose alone share them."""
    key = (function.__module__, function.__code__, *function.__annotations__.items())
    if key not in _CHECKS:
        hints = {
            name: _meaning(annotation, function.__globals__)
            for name, annotation in function.__annotations__.items()
        }

        def returned(value: Any) -> Any:
            return value

        returned.__annotations__ = {"return": hints.pop("return", Any)}
        returned.__qualname__ = f"{function.__qualname__} (returned)"
        _CHECKS[key] = Checks(_TYPED(_arguments(function, hints)), _TYPED(returned))
    return _CHECKS[key]


def _arguments(function: Any, hints: dict[str, Any]) -> Callable[..., None]:
    """A function of the same arguments that does nothing, and keeps nothing alive."""
    code = function.__code__
    enclosed = tuple(types.CellType() for _ in code.co_freevars)
    shell = types.FunctionType(code, function.__globals__, function.__name__, None, enclosed)

    @functools.wraps(shell)  # its names of arguments are those that beartype looks at
    def take(*arguments: Any, **named: Any) -> None: ...

    take.__module__, take.__qualname__ = function.__module__, function.__qualname__
    take.__annotations__ = hints
    return take


def _meaning(annotation: Any, names: dict[str, Any]) -> Any:
    """What an annotation that may be a text means; one without a meaning at run time is `Any`."""

    def holder(value: Any) -> None: ...

    holder.__annotations__ = {"value": annotation}
    try:
        return typing.get_type_hints(holder, names, include_extras=True)["value"]
    except Exception:
        return Any
