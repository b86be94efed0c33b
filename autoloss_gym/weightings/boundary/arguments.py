"""Arguments of a rule's constructor: of their declared type and within bounds, or one line."""

import dataclasses
from collections.abc import Iterable, Mapping, Set
from numbers import Integral, Real
from typing import Annotated, Any, Literal, get_args, get_origin

import numpy as np

from autoloss_gym.optimizers import Optimizer
from autoloss_gym.tools.bounds import Bounds
from autoloss_gym.tools.names import shown

Count = Annotated[int, Bounds("a whole number of at least 1, below 2**31", least=1, below=2**31)]
Seed = Annotated[int, Bounds("a whole number of 64 bits", least=-(2**63), below=2**63)]

_WORDS: dict[Any, str] = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    Optimizer: "an optimizer of autoloss_gym.optimizers, such as Adam(learning_rate=0.01)",
}


def check_arguments(rule: Any) -> None:
    """Bring the arguments of a rule to their types, numbers of NumPy to Python's.

    A default is its author's word. Annotations of other kinds than those of the package's rules say
    nothing here, and any value passes.

    Raises:
        ValueError: the first argument that is of another type or out of its bounds.
    """
    for field in dataclasses.fields(rule):
        value = getattr(rule, field.name)
        if field.init and value is not field.default:
            setattr(rule, field.name, _checked(field.name, value, field.type))


def factors(name: str, values: Any) -> tuple[float, ...]:
    """`values` as numbers that float32 can hold, alone and multiplied by weights.

    Raises:
        ValueError: they are something else, some are negative, or all are 0.
    """
    listed = listed_values(values)
    given = listed or []
    numbers = [number for number in map(real_number, given) if number is not None and number >= 0]
    if len(numbers) < len(given) or not 1e-30 <= max(numbers, default=0) <= 1e30:
        raise ValueError(
            f"{name}={shown(values if listed is None else given)}: expected numbers of at least 0, "
            "one for each loss, the largest of them from 1e-30 to 1e30"
        )
    return tuple(numbers)


def finite_numbers(name: str, values: Any) -> tuple[float, ...]:
    """`values` as numbers from -1e30 to 1e30.

    Raises:
        ValueError: they are something else, or there are none.
    """
    given = listed_values(values)
    found = map(real_number, given or [])
    numbers = [number for number in found if number is not None and abs(number) <= 1e30]
    if given is None or not numbers or len(numbers) < len(given):
        raise ValueError(
            f"{name}={shown(values if given is None else given)}: expected finite numbers of at "
            "most 1e30, one for each loss"
        )
    return tuple(numbers)


def listed_values(values: Any) -> list[Any] | None:
    """What values yield in order; None for what is no such thing."""
    plain = values.tolist() if hasattr(values, "tolist") else values  # of a tensor or an array
    several = isinstance(plain, Iterable) and not isinstance(plain, str | bytes | Mapping | Set)
    return list(plain) if several else None


def real_number(value: Any) -> float | None:
    """A real number as a float; None for what is none, a truth value, or too large for a float."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _checked(name: str, value: Any, annotation: Any) -> Any:
    """`value` as what an annotation says."""
    kind, bounds = annotation, None
    if get_origin(annotation) is Annotated:
        kind, bounds = get_args(annotation)
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    if choices:
        fits = any(type(value) is type(each) and value == each for each in choices)
    elif kind in (int, float):
        number = _number(value, kind)
        fits = number is not None and (bounds is None or bounds.allows(number))
        value = number if fits else value
    elif kind is bool:
        fits = isinstance(value, bool | np.bool_)
        value = bool(value) if fits else value
    else:
        fits = kind is not Optimizer or isinstance(value, Optimizer)

    if not fits:
        words = _alternatives(choices) if choices else _WORDS[kind]
        raise ValueError(f"{name}={shown(value)}: expected {bounds.words if bounds else words}")
    return value


def _alternatives(choices: tuple[Any, ...]) -> str:
    *others, last = map(repr, choices)
    return f"{', '.join(others)} or {last}"


def _number(value: Any, kind: type) -> int | float | None:
    """The number as an int or a float; None if it is none. A float is no int, whole or not."""
    number = real_number(value)
    if number is None or kind is float:
        return number
    return int(value) if isinstance(value, Integral) else None
