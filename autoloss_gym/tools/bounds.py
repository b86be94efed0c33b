"""Bounds of arguments, declared in annotations; `tools.fields` checks them."""

import math
from dataclasses import dataclass
from typing import Annotated


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
PositiveFloat = Annotated[
    float, Bounds("a positive finite number, at most 1e30", above=0, most=_LARGEST)
]
NonNegativeFloat = Annotated[
    float, Bounds("a finite number of at least 0, at most 1e30", least=0, most=_LARGEST)
]
Share = Annotated[float, Bounds("a number from 0 to 1", least=0, most=1)]
BelowOne = Annotated[float, Bounds("a number of at least 0 and below 1", least=0, below=1)]
# Units of a layer: more are a slip of the hand, and would fill the memory.
Units = Annotated[int, Bounds("an integer from 1 to 65536", least=1, most=2**16)]
PositiveInts = tuple[PositiveInt, ...]
