"""Text tables: CSV and its relatives, as spreadsheets and data tools write them."""

import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from autoloss_gym.data.files import DAMAGE, check_regular, check_unpacked_size, opened
from autoloss_gym.data.tables.cells import Cells, is_number
from autoloss_gym.data.tables.columns import Columns, quoted, repeated
from autoloss_gym.data.tables.dialects import (
    SAMPLE,
    SEPARATORS,
    declared_separator,
    separator_of,
)

SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
_LONGEST = 2**21  # characters of a record
_BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
# How pandas names a column that has no name in the file.
_NAMELESS = re.compile(r"|Unnamed: \d+")


def read_text(path: Path) -> Columns:
    """Read a text table with a header line, which may be packed with gzip.

    Raises:
        ValueError: one line that names the file, and what in it cannot be used.
    """
    check_regular(path, "a table, such as a .csv file")
    name = repr(str(path))
    try:
        check_unpacked_size(path)
        encoding = _encoding(path)
        try:
            return _read(path, encoding, name)
        except UnicodeDecodeError:
            # Excel's "CSV" where it is not called "CSV UTF-8".
            return _read(path, "cp1252", name)
    except UnicodeDecodeError:
        raise ValueError(
            f"dataset={name}: its text is neither in UTF-8 nor in Windows-1252; save it in UTF-8"
        ) from None
    except (csv.Error, *DAMAGE) as error:
        raise ValueError(f"dataset={name}: {error}") from None


def _encoding(path: Path) -> str:
    with opened(path) as file:
        start = file.read(4096)
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if start.startswith(mark):
            return encoding
    if start.startswith(b"PK\x03\x04"):
        raise ValueError("this is a zip file or a workbook, not text; save the sheet as CSV")
    if b"\0" in start:
        raise ValueError("this is not text, or not in UTF-8; save it as CSV in UTF-8")
    return "utf-8"


def _read(path: Path, encoding: str, name: str) -> Columns:
    with opened(path) as file, io.TextIOWrapper(file, encoding, newline="") as text:
        lines = _Lines(text)
        first, is_whole = lines.ahead(SAMPLE)
        separator = declared_separator(first[0]) if first else None
        remarks: list[str] = []
        if separator is not None:
            next(lines)
        elif first:
            separator = separator_of(first, is_whole)
            if separator != ",":
                remarks.append(f"Read with {SEPARATORS[separator]} between columns.")
        names, values, others = _parsed(lines, separator or ",")
    if encoding == "cp1252":
        remarks.append("Read as text in Windows-1252, since it is not in UTF-8.")
    return Columns(names, values, name, (*remarks, *others))


def _parsed(lines: "_Lines", separator: str) -> tuple[tuple[str, ...], np.ndarray, tuple[str, ...]]:
    """Names and numbers of the columns, and what is to be said of them."""
    records = _records(lines, separator)
    header = [name.strip() for name in next(records, [])]
    kept = _named(header)
    names = [header[index] for index in kept]
    _check_header(names)

    cells = Cells(separator)
    num_empty = 0
    for number, record in enumerate(records, start=2):  # the header is record 1
        if not any(map(str.strip, record)):
            num_empty += 1
            continue
        if len(record) != len(header):
            advice = "" if separator != "," else " (decimal commas need ';' between columns)"
            raise ValueError(
                f"record {number} has {len(record):,} fields, the header has {len(header):,}; "
                f"mend it or leave it out{advice}"
            )
        if len(kept) < len(header):
            _check_nameless(number, header, record)
            record = [record[index] for index in kept]
        cells.add(number, record)

    values = cells.table(names)
    remarks = list(cells.remarks(names))
    if len(kept) < len(header) and 0 not in kept:
        remarks.append("Left out the first column, which has no name, as numbers of rows.")
    if num_empty:
        remarks.append(f"Left out {num_empty:,} empty rows.")
    return tuple(names), values, tuple(remarks)


def _records(lines: "_Lines", separator: str) -> Iterator[list[str]]:
    """The fields of each record that is no empty line."""
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    try:
        for record in reader:
            lines.begin_record()
            if record:
                yield record
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from None


def _named(header: list[str]) -> list[int]:
    """Indices of the columns that have a name."""
    return [index for index, name in enumerate(header) if not _NAMELESS.fullmatch(name)]


def _check_nameless(number: int, header: list[str], record: list[str]) -> None:
    """ValueError for a field under no name, unless it is in the first column.

    There R and pandas write the numbers or names of the rows.
    """
    for index in range(1, len(header)):
        if record[index].strip() and _NAMELESS.fullmatch(header[index]):
            raise ValueError(
                f"column {index + 1} has no name, but {record[index][:30]!r} in record {number}; "
                "give it a name or leave it out"
            )


def _check_header(names: list[str]) -> None:
    twice = repeated(names)
    if twice is not None:
        raise ValueError(f"several columns are called {quoted(twice)}; give each its own name")
    if names and all(map(is_number, names)):
        raise ValueError("the first line holds numbers; expected a header with the columns' names")


class _Lines:
    """The lines of a text, some of which can be looked at ahead; none of them without bound."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._waiting: deque[str] = deque()
        self._length = 0

    def ahead(self, count: int) -> tuple[list[str], bool]:
        """The next lines that are not blank, and whether these are all."""
        found: list[str] = []
        while len(found) < count and (len(found) < 2 or sum(map(len, found)) < _LONGEST):
            line = self._read()
            if not line:
                return found, True
            self._waiting.append(line)
            if line.strip():
                found.append(line)
        return found, False

    def begin_record(self) -> None:
        """A record has ended with the last line."""
        self._length = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._waiting.popleft() if self._waiting else self._read()
        if not line:
            raise StopIteration
        self._length += len(line)
        if self._length > _LONGEST:
            raise ValueError(f"a record has more than {_LONGEST:,} characters; this is no table")
        return line

    def _read(self) -> str:
        return self._text.readline(_LONGEST + 1)
