"""Bounds of arguments, declared in annotations; `tools.fields` checks them."""

import math
from dataclasses import dataclass
from typing import Annotated, Any


@dataclass(frozen=True)
class Bounds:
    """What a number may be: the metadata of an `Annotated` type.

    Args:
        words: what is expected, as the error says it.
        least: the smallest number that is allowed.
        above: all numbers that are allowed are greater than this; by default minus infinity.
        most: the greatest number that is allowed.
        below: all numbers that are allowed are less than this; by default infinity.
    """

    words: str
    least: int | float = -math.inf
    above: int | float = -math.inf
    most: int | float = math.inf
    below: int | float = math.inf

    def allows(self, value: int | float) -> bool:
        """Whether the number is within the bounds; NaN never is."""
        return self.least <= value <= self.most and self.above < value < self.below


@dataclass(frozen=True)
class RangeBounds(Bounds):
    """What a number, or both ends of a range (low, high) of numbers, may be."""

    def allows(self, value: Any) -> bool:
        """Whether the number is within the bounds, or both ends are, of which none is NaN."""
        if value is None:
            return True
        if not isinstance(value, tuple):
            return super().allows(value)
        return value[0] <= value[1] and all(map(super().allows, value))


def ranged(bounds: Bounds) -> RangeBounds:
    """The same bounds for a number that may be drawn for each problem."""
    words = f"{bounds.words}, or a range [low, high] of two such numbers with low <= high"
    return RangeBounds(
        words, least=bounds.least, above=bounds.above, most=bounds.most, below=bounds.below
    )


# Counts are added, multiplied and stored as 64-bit integers: these leave room.
LIMIT = 2**31


def at_least(least: int) -> Bounds:
    """Bounds of a count."""
    return Bounds(f"an integer of at least {least} and below 2**31", least=least, below=LIMIT)


PositiveInt = Annotated[int, at_least(1)]
NonNegativeInt = Annotated[int, at_least(0)]
# Models compute in float32, in which numbers that are much larger are infinite.
_LARGEST = 1e30
FiniteFloat = Annotated[
    float, Bounds("a finite number, at most 1e30", least=-_LARGEST, most=_LARGEST)
]
_POSITIVE = Bounds("a positive finite number, at most 1e30", above=0, most=_LARGEST)
_NON_NEGATIVE = Bounds("a finite number of at least 0, at most 1e30", least=0, most=_LARGEST)
_SHARE = Bounds("a number from 0 to 1", least=0, most=1)
LESS_THAN_HALF = Bounds("a number of at least 0 and below 0.5", least=0, below=0.5)
PositiveFloat = Annotated[float, _POSITIVE]
NonNegativeFloat = Annotated[float, _NON_NEGATIVE]
Share = Annotated[float, _SHARE]
BelowOne = Annotated[float, Bounds("a number of at least 0 and below 1", least=0, below=1)]
# Units of a layer: more are a slip of the hand, and would fill the memory.
Units = Annotated[int, Bounds("an integer from 1 to 65536", least=1, most=2**16)]
PositiveInts = tuple[PositiveInt, ...]

# A number, or a range (low, high) from which each problem draws its own.
FloatRange = float | tuple[float, float]
IntRange = int | tuple[int, int]
PositiveFloatRange = Annotated[FloatRange, ranged(_POSITIVE)]
NonNegativeFloatRange = Annotated[FloatRange, ranged(_NON_NEGATIVE)]
ShareRange = Annotated[FloatRange, ranged(_SHARE)]
PositiveIntRange = Annotated[IntRange, ranged(at_least(1))]


def largest(bounds: IntRange) -> int:
    """The number itself, or the upper end of a range."""
    return bounds[1] if isinstance(bounds, tuple) else bounds


def both_ends(bounds: FloatRange) -> tuple[float, float]:
    """The ends of a range; of a number alone, itself twice."""
    return bounds if isinstance(bounds, tuple) else (bounds, bounds)
