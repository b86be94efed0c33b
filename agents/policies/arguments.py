"""Readers of what follows the colon of a policy; imports nothing slow.

A reader turns text into the value that the policy is built from. It raises ValueError with a short
reason, which the command puts behind the form that it expected.
"""

import importlib.util
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autoloss_gym.tools.names import shown

Reader = Callable[[str], Any]

_PLAIN = re.compile(r"[-+.0-9a-z]{1,40}", re.ASCII | re.IGNORECASE)
_MOST_UPDATES = 1_000_000  # of one pair in a row: a fixed order is laid out in memory


@dataclass(frozen=True)
class Number:
    """Reads a number from `least` to `most`, both included."""

    least: float
    most: float

    def __call__(self, text: str) -> float:
        value = _number(text)
        if not self.least <= value <= self.most:
            raise ValueError(f"{text} is not in the range {self}")
        return value

    def __str__(self) -> str:
        return f"{self.least:g} to {self.most:g}"


@dataclass(frozen=True)
class Whole:
    """Reads a whole number from `least` to `most`, both included."""

    least: int
    most: int

    def __call__(self, text: str) -> int:
        try:
            value = int(_plain(text))
        except ValueError:
            raise ValueError(f"{shown(text)} is not a whole number") from None
        if not self.least <= value <= self.most:
            raise ValueError(f"{text} is not in the range {self}")
        return value

    def __str__(self) -> str:
        return f"{self.least} to {self.most}"


@dataclass(frozen=True)
class OneOf:
    """Reads one of a few words."""

    words: tuple[str, ...]

    def __call__(self, text: str) -> str:
        if text not in self.words:
            raise ValueError(f"{shown(text)} is not {self}")
        return text

    def __str__(self) -> str:
        return " or ".join(self.words)


class Flag:
    """An option that is given by its name alone, and is then true."""

    def __call__(self, text: str) -> bool:
        return True


@dataclass(frozen=True)
class Options:
    """Reads options divided by commas, name=value or a name alone, into a dictionary.

    Args:
        known: the reader of each option's value.
        exclusive: options of which at most one may be given.
    """

    known: Mapping[str, Reader]
    exclusive: Sequence[str] = ()

    def __call__(self, text: str) -> dict[str, Any]:
        options: dict[str, Any] = {}
        for part in filter(None, text.split(",")):
            name, equals, value = part.partition("=")
            if name not in self.known:
                raise ValueError(f"there is no option {shown(name)}")
            if name in options:
                raise ValueError(f"{name} is given twice")

            read = self.known[name]
            if isinstance(read, Flag) == bool(equals):
                raise ValueError(f"{name} stands alone" if equals else f"{name} needs a value")
            try:
                options[name] = read(value)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None

        both = [name for name in self.exclusive if name in options]
        if len(both) > 1:
            raise ValueError(f"{' and '.join(both)} exclude each other")
        return options

    def __str__(self) -> str:
        shown = []
        for name, read in self.known.items():
            if isinstance(read, Flag):
                shown.append(name)
            elif isinstance(read, OneOf):
                shown.append(f"{name}={read}")
            else:
                shown.append(f"{name}=…")
        return ", ".join(shown)


@dataclass(frozen=True)
class OwnClass:
    """A class of the user's, named module:Class."""

    module: str
    name: str


def nothing(text: str) -> None:
    """Refuse any argument."""
    if text:
        raise ValueError("it takes no argument")


def any_text(text: str) -> str:
    """Any text that is not empty."""
    if not text:
        raise ValueError("the name is missing")
    return text


def optional(read: Reader, default: Any = None) -> Reader:
    """A reader that gives `default` where no argument stands."""
    return lambda text: read(text) if text else default


def counts(text: str) -> tuple[int, ...]:
    """Updates of each pair in a row, as in 3:1."""
    read = Whole(0, _MOST_UPDATES)
    values = tuple(read(part) for part in text.split(":"))
    if len(values) < 2 or not any(values):
        raise ValueError("it needs two numbers, and one of them above 0")
    return values


def probabilities(text: str) -> tuple[float, ...]:
    """The probability of the first pair, or of all pairs."""
    read = Number(0, 1)
    values = tuple(read(part) for part in text.split(","))
    # Three thirds that were written with a few digits are meant to sum to 1.
    if len(values) > 1 and abs(sum(values) - 1) >= 1e-6:
        raise ValueError(f"they sum to {sum(values):g}")
    return values


def weights(text: str) -> tuple[float, ...]:
    """The weight of the penalty, or of all losses."""
    values = tuple(_number(part) for part in text.split(","))
    for value in values:
        if not 0 <= value < 1e6:
            raise ValueError(f"{text} is out of range")
    if not any(values):
        raise ValueError("all are 0")
    return values


def factor(text: str) -> float:
    """A number above 0 and below a million."""
    value = _number(text)
    if not 0 < value < 1e6:
        raise ValueError(f"{text} is out of range")
    return value


def threshold(text: str) -> float:
    """A number between minus and plus a million."""
    value = _number(text)
    if not abs(value) < 1e6:
        raise ValueError(f"{text} is out of range")
    return value


def own_class(text: str) -> OwnClass:
    """`module:Class`; nothing is imported yet."""
    module, _, name = text.partition(":")
    parts = [*module.split("."), name]
    if not all(part.isidentifier() for part in parts):
        raise ValueError("it is no name in Python")
    return OwnClass(module, name)


def names_a_module(text: str) -> bool:
    """Whether the text is module:… with a module that is there; nothing of the user's is run.

    Importing the packages around a module would run them, so only the outermost is looked for.
    """
    module, colon, _ = text.partition(":")
    outermost = module.partition(".")[0]
    if not (colon and outermost.isidentifier()):
        return False
    try:
        return importlib.util.find_spec(outermost) is not None
    except (ImportError, ValueError):
        return False


def _number(text: str) -> float:
    try:
        value = float(_plain(text))
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise ValueError(f"{shown(text)} is not a number")
    return value


def _plain(text: str) -> str:
    """The text, without what Python reads in numbers too: other scripts, blanks, underscores."""
    if not _PLAIN.fullmatch(text):
        raise ValueError
    return text
