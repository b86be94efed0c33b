"""Forms of stored values: what a file may hold is declared once, and checked before it is used.

A form is a leaf of this module, or a dictionary or list of forms. Imports nothing slow.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, prod
from typing import Any

import numpy as np

from autoloss_gym.tools.names import shown


class Leaf(ABC):
    """A form of single values; its string says what is expected."""

    @abstractmethod
    def fits(self, value: Any) -> bool:
        """Whether a value has this form."""


@dataclass(frozen=True)
class Whole(Leaf):
    """Whole numbers from `least` to `most`, both included."""

    least: int
    most: int

    def fits(self, value: Any) -> bool:
        return type(value) is int and self.least <= value <= self.most

    def __str__(self) -> str:
        return f"a whole number from {self.least} to {self.most}"


@dataclass(frozen=True)
class Real(Leaf):
    """Finite numbers from `least` to `most`, both included."""

    least: int | float = -inf
    most: int | float = inf

    def fits(self, value: Any) -> bool:
        is_number = type(value) is float or type(value) is int
        return is_number and self.least <= value <= self.most and isfinite(value)

    def __str__(self) -> str:
        return f"a number from {self.least:g} to {self.most:g}"


@dataclass(frozen=True)
class Text(Leaf):
    """Texts."""

    def fits(self, value: Any) -> bool:
        return isinstance(value, str)

    def __str__(self) -> str:
        return "a text"


@dataclass(frozen=True)
class OneOf(Leaf):
    """A few plain values."""

    values: tuple[Any, ...]

    def fits(self, value: Any) -> bool:
        return any(type(value) is type(each) and value == each for each in self.values)

    def __str__(self) -> str:
        return " or ".join(map(repr, self.values))


@dataclass(frozen=True)
class Named(Leaf):
    """Mappings from names to anything."""

    def fits(self, value: Any) -> bool:
        return isinstance(value, dict)

    def __str__(self) -> str:
        return "a mapping of names"


@dataclass(frozen=True)
class Pair(Leaf):
    """Lists of a name and anything."""

    def fits(self, value: Any) -> bool:
        return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)

    def __str__(self) -> str:
        return "[name, value]"


@dataclass(frozen=True)
class OrNone(Leaf):
    """Values of another form, or none."""

    form: Leaf

    def fits(self, value: Any) -> bool:
        return value is None or self.form.fits(value)

    def __str__(self) -> str:
        return f"{self.form} or null"


@dataclass(frozen=True)
class Many(Leaf):
    """Lists of any length, of values of another form."""

    form: Leaf

    def fits(self, value: Any) -> bool:
        return isinstance(value, list) and all(map(self.form.fits, value))

    def __str__(self) -> str:
        return f"a list, each {self.form}"


@dataclass(frozen=True)
class Array(Leaf):
    """Arrays.

    Args:
        dtype: as NumPy calls it.
        shape: with None where any length is allowed.
        least, most: of every number; NaN is in no range.
        finite: whether NaN and infinities are refused.
        open_length: the largest that None stands for where sizes are bounded.
    """

    dtype: str
    shape: tuple[int | None, ...]
    least: int | float = -inf
    most: int | float = inf
    finite: bool = True
    open_length: int = 1 << 12

    @classmethod
    def like(cls, array: Any, **limits: Any) -> "Array":
        """The form of a NumPy array or of a tensor."""
        return cls(str(array.dtype).removeprefix("torch."), tuple(array.shape), **limits)

    def fits(self, value: Any) -> bool:
        if not isinstance(value, np.ndarray) or value.dtype.name != self.dtype:
            return False
        if value.ndim != len(self.shape):
            return False
        for length, expected in zip(value.shape, self.shape, strict=True):
            if expected not in (length, None):
                return False
        if self.finite and not np.isfinite(value).all():
            return False
        return not ((value < self.least).any() or (value > self.most).any())

    @property
    def num_bytes(self) -> int:
        """Of the largest array that is expected."""
        lengths = [self.open_length if length is None else length for length in self.shape]
        return prod(lengths) * np.dtype(self.dtype).itemsize

    def __str__(self) -> str:
        shape = ", ".join("…" if length is None else str(length) for length in self.shape)
        numbers = "finite " if self.finite else ""
        limits = ""
        if isfinite(self.least) or isfinite(self.most):
            limits = f" from {self.least:g} to {self.most:g}"
        return f"{numbers}{self.dtype} ({shape}){limits}"


@dataclass(frozen=True)
class Maybe:
    """In a dictionary: a part of this form, or nothing of its name."""

    form: Any


def flatten(tree: Any, place: str = "") -> dict[str, Any]:
    """The leaves of a tree of dictionaries and lists, by their places: envs/runs/0."""
    if isinstance(tree, list | tuple):
        tree = dict(enumerate(tree))
    if not isinstance(tree, Mapping):
        return {place: tree}
    leaves: dict[str, Any] = {}
    for name, part in tree.items():
        leaves |= flatten(part, _join(place, name))
    return leaves


def read(leaves: Mapping[str, Any], form: Any) -> Any:
    """The tree that was flattened to `leaves`.

    Args:
        leaves: what a file held.
        form: a leaf, or a dictionary or list of forms.

    Raises:
        ValueError: one line that names what is missing, of another form, or not expected.
    """
    left = dict(leaves)
    tree = _take(left, form, "")
    for place in left:
        raise ValueError(f"it has {place!r}, which is not expected")
    return tree


def num_bytes(form: Any) -> int:
    """Bytes of all arrays of a form."""
    if isinstance(form, Maybe):
        return num_bytes(form.form)
    if isinstance(form, Mapping):
        return sum(map(num_bytes, form.values()))
    if isinstance(form, Sequence):
        return sum(map(num_bytes, form))
    return form.num_bytes if isinstance(form, Array) else 0


def _take(left: dict[str, Any], form: Any, place: str) -> Any:
    """Take out of `left` what a form asks for."""
    if isinstance(form, Sequence):
        return [_take(left, part, _join(place, index)) for index, part in enumerate(form)]
    if isinstance(form, Mapping):
        found = {}
        for name, part in form.items():
            where = _join(place, name)
            if not isinstance(part, Maybe):
                found[name] = _take(left, part, where)
            elif any(each == where or each.startswith(f"{where}/") for each in left):
                found[name] = _take(left, part.form, where)
        return found

    if place not in left:
        raise ValueError(f"it has no {place!r}")
    value = left.pop(place)
    if not form.fits(value):
        raise ValueError(f"{place} is {_shown(value)}, expected {form}")
    return value


def _join(place: str, name: Any) -> str:
    return f"{place}/{name}" if place else str(name)


def _shown(value: Any) -> str:
    """A value as a message shows it."""
    if isinstance(value, np.ndarray):
        shape = ", ".join(map(str, value.shape))
        numbers = f" with {value.min():g} to {value.max():g}" if value.size else ""
        return f"{value.dtype} ({shape}){numbers}"
    return shown(value)
