"""From the fields of a text table to numbers, and what is said of those that are none."""

import bisect
import re
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autoloss_gym.data.tables.columns import listed, quoted

_MISSING = {"", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "nil", "?", "-", "."}
_TRUTH = {"true": 1.0, "false": 0.0}
# Not all that `float` reads: 2020_01 and the digits of other scripts are no numbers here.
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?|[-+]?inf(inity)?", re.ASCII | re.I)
_COMMA_NUMBER = re.compile(r"[-+]?(\d+,\d*|,\d+)(e[-+]?\d+)?", re.ASCII | re.I)
# Digits in groups, such as 1.234,5 or 1 234.5 or 1'234.
_GROUPED = re.compile(r"[-+]?\d{1,3}([.,'’ \u00a0\u202f]\d{3})*([.,]\d+)?", re.ASCII)


def is_number(cell: str) -> bool:
    """Whether a field is a number with '.' or ',' as its decimal mark."""
    text = cell.strip()
    return bool(_NUMBER.fullmatch(text) or _COMMA_NUMBER.fullmatch(text))


def is_value(cell: str) -> bool:
    """Whether a field is a number, true or false, or says that there is none."""
    text = cell.strip().casefold()
    return is_number(cell) or text in _MISSING or text in _TRUTH


@dataclass
class _Words:
    """Fields of a column that are no numbers: how many, and the first."""

    count: int
    record: int
    first: str


class Cells:
    """The numbers of a table, read record by record.

    Args:
        separator: between the fields; ',' cannot be a decimal mark then.
    """

    def __init__(self, separator: str) -> None:
        self._separator = separator
        self._values = array("d")  # NaN where there is no number
        self._num_rows = 0
        # Where records are left out, the next row and its record.
        self._places: list[tuple[int, int]] = []
        self._words: dict[int, _Words] = {}  # by column
        self._truths: dict[int, int] = {}  # by column, how many fields are true or false
        # The first number with '.' in it, and the first with ',': record and field.
        self._point: tuple[int, str] | None = None
        self._comma: tuple[int, str] | None = None

    def add(self, record: int, cells: Sequence[str]) -> None:
        """Read the fields of one record, whose number is for errors."""
        text = "".join(cells)
        if text.isascii() and "_" not in text and (self._point or "." not in text):
            try:
                row = list(map(float, cells))
            except ValueError:
                row = self._mixed(record, cells)
        else:
            row = self._mixed(record, cells)
        self._values.extend(row)
        if self._record(self._num_rows) != record:
            self._places.append((self._num_rows, record))
        self._num_rows += 1

    def _record(self, row: int) -> int:
        """The number of a row's record."""
        index = bisect.bisect(self._places, row, key=lambda place: place[0])
        first_row, record = self._places[index - 1] if index else (0, 0)
        return record + row - first_row

    def _mixed(self, record: int, cells: Sequence[str]) -> list[float]:
        return [self._number(record, column, cell) for column, cell in enumerate(cells)]

    def _number(self, record: int, column: int, cell: str) -> float:
        text = cell.strip()
        if _NUMBER.fullmatch(text):
            if "." in text and not self._point:
                self._point = (record, text)
            return float(text)
        if self._separator != "," and _COMMA_NUMBER.fullmatch(text):
            self._comma = self._comma or (record, text)
            return float(text.replace(",", "."))
        folded = text.casefold()
        if folded in _TRUTH:
            self._truths[column] = self._truths.get(column, 0) + 1
            return _TRUTH[folded]
        if folded not in _MISSING:
            first = self._words.setdefault(column, _Words(0, record, text))
            first.count += 1
        return float("nan")

    def table(self, names: Sequence[str]) -> np.ndarray:
        """All numbers, (records, columns), float64.

        Raises:
            ValueError: one line that names the columns with words or without numbers, or says that
                decimal marks are mixed.
        """
        values = np.frombuffer(self._values, np.float64) if self._values else np.empty(0)
        values = values.reshape(self._num_rows, len(names))
        self._refuse_words(names)
        if self._point and self._comma:
            raise ValueError(
                f"its decimal mark is '.' in record {self._point[0]} ({self._point[1]!r}) and ',' "
                f"in record {self._comma[0]} ({self._comma[1]!r}); write all numbers as 1234.5"
            )
        self._refuse_mixed_truths(names, len(values))
        check_complete(names, values, lambda row: f"record {self._record(row)}")
        return values

    def remarks(self, names: Sequence[str]) -> tuple[str, ...]:
        """What is to be said of the numbers."""
        lines = []
        if self._comma:
            lines.append("Read with ',' as decimal mark.")
        if self._truths:
            read = listed([quoted(names[column]) for column in sorted(self._truths)])
            lines.append(f"Read true as 1 and false as 0 in: {read}.")
        return tuple(lines)

    def _refuse_words(self, names: Sequence[str]) -> None:
        if not self._words:
            return
        found = [
            f"{quoted(names[column])} ({self._words[column].first[:30]!r} in record "
            f"{self._words[column].record})"
            for column in sorted(self._words)
        ]
        if all(_GROUPED.fullmatch(each.first) for each in self._words.values()):
            raise ValueError(
                f"numbers with a mark between thousands, or with a decimal comma, in "
                f"{listed(found)}; write them as 1234.5"
            )
        verb = "is" if len(found) == 1 else "are"
        raise ValueError(
            f"{len(found):,} of {len(names):,} columns {verb} not numeric: {listed(found)}; "
            "encode them as numbers or leave them out"
        )

    def _refuse_mixed_truths(self, names: Sequence[str], num_records: int) -> None:
        for column, count in self._truths.items():
            if count != num_records:
                raise ValueError(
                    f"column {names[column]!r} holds true or false in {count} of {num_records} "
                    "records and something else in the others; write 1 and 0 throughout"
                )


def check_complete(
    names: Sequence[str], values: np.ndarray, place: Callable[[int], str] = "row {}".format
) -> None:
    """ValueError that names the columns with missing or infinite numbers.

    Args:
        names: of the columns.
        values: (rows, columns).
        place: from the index of a row to its name in errors.
    """
    if np.isfinite(values).all():
        return
    for kind, bad in (("missing", np.isnan(values)), ("infinite", np.isinf(values))):
        columns = np.flatnonzero(bad.any(axis=0))
        found = []
        for column in columns.tolist():
            rows = np.flatnonzero(bad[:, column])
            found.append(f"{quoted(names[column])} ({len(rows):,}, first in {place(int(rows[0]))})")
        if found:
            raise ValueError(
                f"{kind} values: {bad.sum():,} in {len(found):,} of {len(names):,} columns and "
                f"{bad.any(axis=1).sum():,} of {len(values):,} rows: {listed(found)}; "
                "fill them, or leave such rows or columns out"
            )
