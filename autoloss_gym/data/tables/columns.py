"""Tables as they were read, and with one of their columns as the target."""

import difflib
import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autoloss_gym.data.digests import digest_of

MIN_ROWS = 25
_SHOWN = 6  # names or values in one line
_LONGEST = 60  # characters of a name


class Data:
    """Arrays that nobody changes, equal to others of the same content."""

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of names, shapes and numbers, in hexadecimal."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __deepcopy__(self, memo: Any) -> "Data":
        return self


@dataclass(frozen=True, eq=False, repr=False)
class Columns(Data):
    """A table whose target is not chosen yet, as a file or a data frame holds it.

    Args:
        names: of the columns.
        values: (rows, columns), float64; finite.
        name: of the table, for errors.
        remarks: lines that say how the table was read, where that is not obvious.
    """

    names: tuple[str, ...]
    values: np.ndarray
    name: str
    remarks: tuple[str, ...] = ()

    @functools.cached_property
    def digest(self) -> str:
        return digest_of(self.values, *self.names)

    def __repr__(self) -> str:
        return f"<table of {len(self.values):,} rows and {len(self.names):,} columns>"


@dataclass(frozen=True, eq=False, repr=False)
class Table(Data):
    """A table of numbers, two of which are equal if their numbers and targets' names are.

    Args:
        inputs: (rows, features), float64 and finite.
        targets: (rows,), float64 and finite.
        name: of the table, for errors.
        target: name of the target's column; None where columns have no names.
        remarks: lines that say how the table was read, where that is not obvious.
    """

    inputs: np.ndarray
    targets: np.ndarray
    name: str
    target: str | None = None
    remarks: tuple[str, ...] = ()

    @functools.cached_property
    def digest(self) -> str:
        inputs = digest_of(self.inputs)
        return digest_of(self.targets, inputs, str(self.target))

    def __repr__(self) -> str:
        rows, features = self.inputs.shape
        return f"<table of {rows:,} rows, {features:,} features and a target>"


def with_target(columns: Columns, target: str | None) -> Table:
    """The table whose target is the column of that name, by default the last.

    Raises:
        ValueError: there is no such column, or the table is too small.
    """
    chosen = len(columns.names) - 1
    if target is not None:
        chosen = _index(columns, target)
    if not columns.names:  # an empty file, whose size is checked as any other's
        return checked(columns.name, np.empty((0, 0)), np.empty(0))
    return checked(
        columns.name,
        np.delete(columns.values, chosen, axis=1),
        columns.values[:, chosen],
        columns.names[chosen],
        columns.remarks,
    )


def _index(columns: Columns, target: str) -> int:
    names = columns.names
    wanted = target.strip()
    if wanted in names:
        return names.index(wanted)
    several = [part.strip() for part in target.split(",")]
    if len(several) > 1 and set(several) <= set(names):
        raise ValueError(
            f"dataset={columns.name}: target={target!r} names {len(several)} columns; "
            "a task has one target: name one of them"
        )
    near = difflib.get_close_matches(wanted, names, n=1)
    question = f", did you mean {near[0]!r}?" if near else ""
    raise ValueError(
        f"dataset={columns.name}: there is no column {target!r}{question}; "
        f"the columns are {listed([name[:_LONGEST] for name in names])}"
    )


def listed(names: Sequence[str]) -> str:
    """The first of these names, and how many more there are."""
    shown = ", ".join(names[:_SHOWN])
    left = len(names) - _SHOWN
    return f"{shown} and {left:,} more" if left > 0 else shown


def quoted(name: str) -> str:
    """A column's name as errors show it."""
    return repr(name[:_LONGEST])


def repeated(names: Iterable[str]) -> str | None:
    """The first name that comes twice."""
    seen = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def checked(
    name: str,
    inputs: np.ndarray,
    targets: np.ndarray,
    target: str | None = None,
    remarks: tuple[str, ...] = (),
) -> Table:
    """A `Table` of numbers that a task can be made of.

    Raises:
        ValueError: the shapes do not fit, it is too small, not finite, or the target is constant.
    """
    if inputs.ndim != 2 or targets.shape != inputs.shape[:1]:
        raise ValueError(
            f"dataset={name}: expected inputs (rows, features) and targets (rows,), "
            f"got {inputs.shape}, {targets.shape}"
        )
    rows, features = inputs.shape
    if rows < MIN_ROWS or features == 0:
        raise ValueError(
            f"dataset={name}: {rows} rows and {features} features are too few; "
            f"give at least {MIN_ROWS} rows and one feature beside the target"
        )
    _check_finite(name, "inputs", inputs)
    _check_finite(name, "targets", targets[:, None])
    if (targets == targets[0]).all():
        raise ValueError(f"dataset={name}: the target is constant; there is nothing to learn")
    return Table(
        inputs=np.ascontiguousarray(inputs, np.float64),
        targets=np.ascontiguousarray(targets, np.float64),
        name=name,
        target=target,
        remarks=remarks,
    )


def _check_finite(name: str, part: str, values: np.ndarray) -> None:
    if np.isfinite(values).all():
        return
    row, column = np.argwhere(~np.isfinite(values))[0]
    raise ValueError(
        f"dataset={name}: {part} hold NaN or infinity, first at row {row}, "
        f"column {column} (counted from 0); remove or fill such rows"
    )
