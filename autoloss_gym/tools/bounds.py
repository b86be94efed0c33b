"""Bounds of arguments, declared in the annotations of a dataclass and checked in one place."""

import dataclasses
import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin


@dataclass(frozen=True)
class Bounds:
    """What a number may be: the metadata of an `Annotated` type.

    Args:
        words: what is expected, as the error says it.
        least: the smallest number that is allowed.
        above: all numbers that are allowed are greater than this.
        below: all numbers that are allowed are less than this; by default infinity.
    """

    words: str
    least: int | float = -math.inf
    above: int | float = -math.inf
    below: int | float = math.inf

    def allows(self, value: int | float) -> bool:
        """Whether the number is within the bounds; NaN never is."""
        return self.least <= value < self.below and value > self.above


def at_least(least: int) -> Bounds:
    """Bounds of an integer."""
    return Bounds(f"at least {least}", least=least)


PositiveInt = Annotated[int, at_least(1)]
NonNegativeInt = Annotated[int, at_least(0)]
FiniteFloat = Annotated[float, Bounds("a finite number")]
PositiveFloat = Annotated[float, Bounds("a positive finite number", above=0)]
NonNegativeFloat = Annotated[float, Bounds("a finite number of at least 0", least=0)]
PositiveInts = tuple[PositiveInt, ...]


def check_bounds(instance: Any) -> None:
    """ValueError that names the first field of a dataclass whose value is out of its bounds.

    A class inherits the bounds of a field whose default it replaces.
    """
    for name, annotations in _annotations(instance.__class__).items():
        value = getattr(instance, name)
        for annotation in annotations:
            for bounds in _bounds(annotation):
                if not bounds.allows(value):
                    raise ValueError(f"{name}={value!r}: expected {bounds.words}")
            if get_origin(annotation) is tuple:
                _check_elements(name, value, annotation)


def plain_type(annotation: Any) -> Any:
    """The annotation without its bounds."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _check_elements(name: str, values: Any, annotation: Any) -> None:
    """ValueError if an element of a tuple is not of the type and within the bounds of all."""
    element = get_args(annotation)[0]
    for bounds in _bounds(element):
        kind = plain_type(element)
        if not all(isinstance(value, kind) and bounds.allows(value) for value in values):
            raise ValueError(f"{name}={values!r}: expected numbers of {bounds.words}")


@functools.cache
def _annotations(cls: Any) -> dict[str, list[Any]]:
    """The annotations that a class and its ancestors give to each field."""
    found = {}
    for field in dataclasses.fields(cls):
        given = [vars(each).get("__annotations__", {}).get(field.name) for each in cls.__mro__]
        found[field.name] = [annotation for annotation in given if annotation is not None]
    return found


def _bounds(annotation: Any) -> Iterator[Bounds]:
    if get_origin(annotation) is Annotated:
        yield from (each for each in annotation.__metadata__ if isinstance(each, Bounds))
