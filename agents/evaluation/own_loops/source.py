"""Digests of a user's functions, by which stored runs are known to be theirs.

A digest covers the code of a function, and all functions, classes and plain values of the user's
modules that the code names. What it cannot see is the content of other objects, such as data that
were loaded when the module was imported, and of files. Of lists and dicts plain values, functions
and classes count, as settings have them; what else they hold may be a cache, which is filled while
the function runs.
"""

import dataclasses
import functools
import hashlib
import inspect
import re
import sys
import sysconfig
import types
from collections.abc import Collection
from typing import Any

_PLAIN = (int, float, complex, str, bytes, bool, type(None), type(Ellipsis))
_SETTINGS = (
    *_PLAIN,
    tuple,
    list,
    dict,
    set,
    frozenset,
    type,
    functools.partial,
    types.FunctionType,
)
_OURS = ("autoloss_gym", "agents")
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})


def code_digest(function: Any) -> str:
    """16 hexadecimal digits that change with the code that a callable runs."""
    walk = _Walk()
    walk.visit(function)
    return hashlib.sha256("\n".join(walk.lines).encode()).hexdigest()[:16]


def described(value: Any) -> str:
    """The `repr` of an object without addresses; with a digest where its class is the user's."""
    cls = type(value)
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
    if isinstance(value, _PLAIN) or not _is_users(cls):
        return text
    return f"{text} of {cls.__qualname__} {code_digest(cls)}"


def _is_users(thing: Any) -> bool:
    """Whether it is of a module of the user's, and no library."""
    name = getattr(thing, "__module__", None) or ""
    if isinstance(thing, types.ModuleType):
        name = thing.__name__
    if name == "__main__":
        return True
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None or name.partition(".")[0] in _OURS:
        return False
    return not file.startswith(_LIBRARIES)


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 (asking is the only way to know)
    except ValueError:
        return False
    return True


class _Walk:
    """Visits what code reaches, each object once, and writes a line for each."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._seen: dict[int, Any] = {}  # also keeps them alive, so that no number comes twice

    def visit(self, value: Any) -> None:
        if isinstance(value, _PLAIN):
            self.lines.append(repr(value))
            return
        if id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, tuple):
            self._visit_all("tuple", value)
        elif isinstance(value, list):
            self._visit_settings(list(enumerate(value)))
        elif isinstance(value, dict):
            self._visit_settings(list(value.items()))
        elif isinstance(value, set | frozenset):
            self._visit_all("set", sorted(map(repr, value)))
        elif isinstance(value, functools.partial):
            self._visit_all("partial", [value.func, value.args, value.keywords])
        elif isinstance(value, types.MethodType):
            self._visit_all("method", [value.__func__, value.__self__])
        elif isinstance(value, types.CodeType):
            self._visit_code(value, {})
        elif inspect.isfunction(value):
            self._visit_function(value)
        elif isinstance(value, type):
            self._visit_class(value)
        else:
            self._visit_object(value)

    def _visit_all(self, kind: str, values: Collection[Any]) -> None:
        self.lines.append(f"{kind} of {len(values)}")
        for value in values:
            self.visit(value)

    def _visit_settings(self, items: Collection[tuple[Any, Any]]) -> None:
        for key, value in items:
            if isinstance(value, _SETTINGS):
                self.visit(key)
                self.visit(value)

    def _visit_function(self, function: types.FunctionType) -> None:
        wrapped = inspect.unwrap(function)
        if not _is_users(wrapped):
            self.lines.append(f"{function.__module__}.{function.__qualname__}")
            return
        closure = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
        self._visit_code(function.__code__, function.__globals__, function.__doc__)
        self._visit_all("around it", [function.__defaults__, function.__kwdefaults__, closure])
        if wrapped is not function:
            self.visit(wrapped)

    def _visit_code(
        self, code: types.CodeType, names: dict[str, Any], doc: str | None = None
    ) -> None:
        self.lines.append(code.co_code.hex())
        self.lines.append(" ".join(code.co_names))
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._visit_code(constant, names)
            elif constant is None or constant != doc:
                self.visit(constant)
        for name in code.co_names:
            if name in names:
                self.visit(names[name])
                self._visit_attributes(names[name], code.co_names)

    def _visit_attributes(self, module: Any, names: tuple[str, ...]) -> None:
        """What code takes out of a module of the user's."""
        if isinstance(module, types.ModuleType) and _is_users(module):
            for name in names:
                if name in vars(module):
                    self.visit(vars(module)[name])

    def _visit_class(self, cls: type) -> None:
        if not _is_users(cls):
            self.lines.append(f"{cls.__module__}.{cls.__qualname__}")
            return
        self.lines.append(cls.__qualname__)  # the module may be imported, or be the script itself
        self._visit_all("bases", cls.__bases__)
        for name, value in vars(cls).items():
            inside = getattr(value, "__func__", getattr(value, "fget", value))
            # Python's own entries, such as the module and the first line, are no code.
            is_setting = isinstance(value, _SETTINGS) and not name.startswith("__")
            if inspect.isfunction(inside) or is_setting:
                self.lines.append(name)
                self.visit(inside)

    def _visit_object(self, value: Any) -> None:
        self._visit_class(type(value))
        if isinstance(value, types.ModuleType) or not _is_users(type(value)):
            return
        if dataclasses.is_dataclass(value) or hasattr(value, "__dict__"):
            self._visit_settings(list(vars(value).items()))
