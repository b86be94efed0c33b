"""From names and keyword arguments to objects; what is wrong with one is a single clear line."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast

from autoloss_gym.tools.fields import converted
from autoloss_gym.tools.names import shown, unknown

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
    given = mapping(f"{kind}_arguments", arguments)
    if isinstance(value, tuple(table.values())):
        if given:
            raise ValueError(
                f"{kind}_arguments={shown(given)}: expected none where {kind} is given as an object"
            )
        return cast(Built, value)
    if not isinstance(value, str) or value not in table:
        raise ValueError(unknown(kind, value, table))
    return build(table[value], {**(suited or {}), **given})


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
    # Also where a user's class checks nothing itself.
    fitting = {name: converted(name, value, known[name]) for name, value in arguments.items()}
    return cls(**fitting)


def one_of(name: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    """`value` if it is allowed; members of an enumeration are compared by their values."""
    values = [getattr(each, "value", each) for each in allowed]
    plain = getattr(value, "value", value)
    if not any(type(plain) is type(each) and plain == each for each in values):
        raise ValueError(f"{name}={shown(value)}: expected one of {', '.join(map(repr, values))}")
    return value


def mapping(name: str, value: Any) -> Mapping[str, Any]:
    """`value` if it maps names to values, {} if it is None."""
    return converted(name, {} if value is None else value, Mapping)
