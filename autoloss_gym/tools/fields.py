"""Values of declared types: converted where nothing is lost, or else refused in one line."""

import dataclasses
import functools
import types
from collections.abc import Iterator, Mapping
from numbers import Integral, Real
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np

from autoloss_gym.tools.bounds import Bounds
from autoloss_gym.tools.names import shown

_WORDS = {
    int: "an integer",
    float: "a number",
    bool: "True or False",
    str: "text",
    types.NoneType: "None",
    Mapping: "a mapping of names to values",
}


class _Unfit(Exception):
    """The value is not what its annotation says."""


def check_fields(instance: Any) -> None:
    """Bring the fields of a dataclass to their types: 1e3 is an int, 1 a float, a list a tuple.

    A class inherits the bounds of a field whose default it replaces. A default is its author's
    word: of it only bounds are checked.

    Raises:
        ValueError: the first field whose value is of another type or out of its bounds.
    """
    for name, default, annotation in _declared(instance.__class__):
        value = getattr(instance, name)
        if value is default and get_origin(annotation) is not Annotated:
            continue
        fitting = converted(name, value, annotation)
        if fitting is not value:
            object.__setattr__(instance, name, fitting)


def converted(name: str, value: Any, annotation: Any) -> Any:
    """`value` as what an annotation says.

    That is a plain type, a class, a tuple, a `Literal`, a union, or one of these with `Bounds`. Of
    other annotations nothing is known, and any value passes.

    Raises:
        ValueError: it is something else; the line gives its name and what is expected.
    """
    try:
        return _fitting(value, annotation)
    except _Unfit:
        raise ValueError(f"{name}={shown(value)}: expected {_meaning(annotation)}") from None


def _fitting(value: Any, annotation: Any) -> Any:
    """The value, converted; `_Unfit` if it is something else."""
    origin = get_origin(annotation) or annotation
    arguments = get_args(annotation)
    if origin is Annotated:
        fitting = _fitting(value, arguments[0])
        _demand(all(bounds.allows(fitting) for bounds in _bounds(annotation)))
        return fitting
    if origin in (Union, types.UnionType):
        return _member(value, arguments)
    if origin is tuple and arguments:
        return _elements(value, arguments)
    if origin in (int, float):
        return _number(value, origin)
    if origin is bool and isinstance(value, np.bool_):
        return bool(value)
    if origin is Literal:
        _demand(any(type(value) is type(each) and value == each for each in arguments))
    elif isinstance(origin, type) and origin is not Any:
        _demand(isinstance(value, Mapping if origin is dict else origin))
    return value


def _number(value: Any, kind: type) -> int | float:
    """The same number as an int or a float; a truth value is none."""
    _demand(isinstance(value, Real) and not isinstance(value, bool))
    try:
        as_float = float(value)
    except OverflowError:
        raise _Unfit from None
    if kind is float:
        return as_float
    _demand(isinstance(value, Integral) or as_float.is_integer())
    return int(value)


def _elements(values: Any, annotations: tuple[Any, ...]) -> tuple[Any, ...]:
    """A list, which JSON and YAML know alone, or a tuple, with all elements converted."""
    _demand(isinstance(values, list | tuple))
    if annotations[-1] is Ellipsis:
        annotations = annotations[:1] * len(values)
    _demand(len(values) == len(annotations))
    pairs = zip(values, annotations, strict=True)
    return tuple(_fitting(value, annotation) for value, annotation in pairs)


def _member(value: Any, annotations: tuple[Any, ...]) -> Any:
    """The value as the first of the types that it fits."""
    for annotation in annotations:
        try:
            return _fitting(value, annotation)
        except _Unfit:
            continue
    # A column may be called 2020.
    _demand(str in annotations and isinstance(value, int | float) and not isinstance(value, bool))
    return str(value)


def _demand(condition: bool) -> None:
    if not condition:
        raise _Unfit


def _meaning(annotation: Any) -> str:
    """What is expected, in words."""
    origin = get_origin(annotation) or annotation
    arguments = get_args(annotation)
    if origin is Annotated:
        words = [bounds.words for bounds in _bounds(annotation)]
        return words[0] if words else _meaning(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(map(_meaning, arguments))
    if origin is tuple and arguments:
        length = "" if arguments[-1] is Ellipsis else f" of {len(arguments)}"
        return f"a list{length}, each element {_meaning(arguments[0])}"
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    # A class may say in its own words what is expected in its place.
    own = getattr(origin, "in_words", f"an object of type {getattr(origin, '__name__', origin)}")
    return _WORDS.get(origin, own)


def _bounds(annotation: Any) -> Iterator[Bounds]:
    return (each for each in get_args(annotation)[1:] if isinstance(each, Bounds))


@functools.cache
def _declared(cls: Any) -> list[tuple[str, Any, Any]]:
    """Name and default of each field with every annotation that the class and its ancestors give
    it.
    """
    found = []
    for field in dataclasses.fields(cls):
        for ancestor in cls.__mro__:
            annotation = vars(ancestor).get("__annotations__", {}).get(field.name)
            if annotation is not None:
                found.append((field.name, field.default, annotation))
    return found
