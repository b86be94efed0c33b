"""From names and keyword arguments to objects; what is wrong with one is a single clear line."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast, get_origin

from autoloss_gym.tools.bounds import plain_type
from autoloss_gym.tools.names import unknown

Built = TypeVar("Built")


class UnexpectedArgument(ValueError, TypeError):
    """An argument that nothing takes.

    It is a TypeError in Python's words as well, because clients look for that to try again without
    the argument.
    """


def unexpected(kind: str, name: str, known: Iterable[str]) -> UnexpectedArgument:
    """The error about an argument that nothing takes, with the nearest right name."""
    line = unknown(kind, name, known)
    return UnexpectedArgument(
        line.replace(f" {name!r}", f": got an unexpected keyword argument {name!r}", 1)
    )


def pick(
    table: Mapping[str, type[Built]],
    value: Any,
    kind: str,
    suited: Mapping[str, Any] | None,
    arguments: Mapping[str, Any] | None,
) -> Built:
    """`value` itself if it is of a class in `table`, else an object of the class that it names.

    Args:
        table: classes by name.
        value: a name, or an object of one of the classes.
        kind: what these are, for errors.
        suited: arguments that replace the defaults of the class.
        arguments: arguments that replace these.

    Raises:
        ValueError: there is no such name, or the class has no such argument.
    """
    if isinstance(value, tuple(table.values())):
        if arguments:
            raise ValueError(
                f"{kind}_arguments={dict(arguments)}: expected none where {kind} is given as an "
                "object"
            )
        return cast(Built, value)
    if not isinstance(value, str) or value not in table:
        raise ValueError(unknown(kind, value, table))
    if not isinstance(arguments or {}, Mapping):
        raise ValueError(f"{kind}_arguments={arguments!r}: expected a mapping of names to values")
    return build(table[value], {**(suited or {}), **(arguments or {})})


def build(cls: type[Built], arguments: Mapping[str, Any]) -> Built:
    """An instance of the dataclass `cls`.

    Raises:
        ValueError: it has no such argument, or a value is of another type.
    """
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    known = {field.name: field.type for field in fields if field.init}
    for name in arguments:
        if name not in known:
            kind = f"argument of {cls.__name__}"
            raise unexpected(kind, name, known)
    converted = {name: converted_value(name, arguments[name], known[name]) for name in arguments}
    return cls(**converted)


def converted_value(name: str, value: Any, annotation: Any) -> Any:
    """`value` as the type of a field, where that is a plain one: 1e3 is an int, 1 is a float.

    Raises:
        ValueError: it is of another type.
    """
    expected = plain_type(annotation)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if expected is int and is_number and float(value).is_integer():
        return int(value)
    if expected is float and is_number:
        return float(value)
    if get_origin(expected) is tuple and isinstance(value, list):
        return tuple(value)  # JSON and YAML know lists alone
    if expected == (str | None) and is_number:
        return str(value)  # a column may be called 2020
    if expected is Any or not isinstance(expected, type):
        return value
    if expected not in (int, float) and isinstance(value, expected):
        return value
    meanings = {int: "an integer", float: "a number"}
    meaning = meanings.get(expected, f"an object of type {expected.__name__}")
    raise ValueError(f"{name}={value!r}: expected {meaning}, got type {type(value).__name__}")


def positive(name: str, value: Any) -> int:
    """`value` as an int of at least 1."""
    is_number = isinstance(value, float) or hasattr(value, "__index__")
    if isinstance(value, bool) or not is_number or not float(value).is_integer() or value < 1:
        raise ValueError(f"{name}={value!r}: expected a positive integer")
    return int(value)


def divisor(name: str, value: Any, whole_name: str, whole: int) -> int:
    """`value` as an int of at least 1 that divides `whole`."""
    number = positive(name, value)
    if whole % number:
        raise ValueError(f"{name}={value}: expected a divisor of {whole_name}={whole}")
    return number


def one_of(name: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    """`value` if it is allowed; members of an enumeration are compared by their values."""
    values = [getattr(each, "value", each) for each in allowed]
    if getattr(value, "value", value) not in values:
        raise ValueError(f"{name}={value!r}: expected one of {', '.join(map(repr, values))}")
    return value


def sequence(name: str, value: Any) -> tuple[Any, ...]:
    """`value` as a tuple."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name}={value!r}: expected a list of names")
    return tuple(value)
