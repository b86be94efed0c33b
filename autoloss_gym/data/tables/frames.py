"""Data frames of pandas, Polars and others, which are known by what they can do, and Parquet."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from autoloss_gym.data.files import check_regular
from autoloss_gym.data.tables.cells import check_complete
from autoloss_gym.data.tables.columns import Columns, listed, quoted, repeated


def is_frame(value: Any) -> bool:
    """Whether this is a data frame: it has `columns`, and each gives an array."""
    return hasattr(value, "columns") and hasattr(value, "to_numpy")


def from_frame(frame: Any) -> Columns:
    """The columns of a data frame, copied.

    Raises:
        ValueError: one line that names the columns that are not numeric or not complete.
    """
    labels = list(frame.columns)
    size = f"{len(frame):,} × {len(labels):,}"
    name = f"<{type(frame).__module__.partition('.')[0]} frame of {size}>"
    names = [str(label).strip() for label in labels]
    try:
        twice = repeated(names)
        if twice is not None:
            raise ValueError(f"several columns are called {quoted(twice)}; give each its own name")
        found = {str(label).strip(): np.asarray(frame[label].to_numpy()) for label in labels}
        return _columns(name, found)
    except ValueError as error:
        raise ValueError(f"dataset={name}: {error}") from None


def from_arrays(inputs: Any, targets: Any) -> Columns:
    """Arrays of inputs (rows, features) and targets (rows,) as a table whose last column these are.

    Raises:
        ValueError: their shapes do not fit, or they are not numeric or not complete.
    """
    inputs, targets = np.asarray(inputs), np.asarray(targets)
    name = f"<arrays of shapes {inputs.shape} and {targets.shape}>"
    if inputs.ndim != 2 or targets.shape != inputs.shape[:1]:
        raise ValueError(f"dataset={name}: expected inputs (rows, features) and targets (rows,)")
    found = {f"input {index}": inputs[:, index] for index in range(inputs.shape[1])}
    try:
        return _columns(name, {**found, "target": targets})
    except ValueError as error:
        raise ValueError(f"dataset={name}: {error}") from None


def read_parquet(path: Path) -> Columns:
    """Read a Parquet file with pyarrow or Polars, whichever is installed.

    Raises:
        ValueError: neither is, or the file cannot be used.
    """
    check_regular(path, "a .parquet file")
    name = repr(str(path))
    try:
        found = _parquet_columns(path)
    except ImportError:
        raise ValueError(
            f"dataset={name}: reading Parquet needs pyarrow or polars: pip install pyarrow"
        ) from None
    except Exception as error:  # of the libraries' own kinds
        reason = " ".join(str(error).split()[:40])
        raise ValueError(f"dataset={name}: this Parquet file cannot be read; {reason}") from None
    try:
        return _columns(name, {label.strip(): array for label, array in found.items()})
    except ValueError as error:
        raise ValueError(f"dataset={name}: {error}") from None


def _parquet_columns(path: Path) -> dict[str, np.ndarray]:
    """The columns by name; ImportError where no reader is installed."""
    try:
        table = importlib.import_module("pyarrow.parquet").read_table(path)
        return {name: table.column(name).to_numpy() for name in table.column_names}
    except ImportError:
        frame = importlib.import_module("polars").read_parquet(path)
        return {name: frame[name].to_numpy() for name in frame.columns}


def _columns(name: str, found: Mapping[str, np.ndarray]) -> Columns:
    numbers = {}
    words = []
    for label, array in found.items():
        column = _numbers(array)
        if column is None:
            words.append(f"{quoted(label)} ({_example(array)})")
        else:
            numbers[label] = column
    if words:
        verb = "is" if len(words) == 1 else "are"
        raise ValueError(
            f"{len(words):,} of {len(found):,} columns {verb} not numeric: {listed(words)}; "
            "encode them as numbers or leave them out"
        )
    names = tuple(numbers)
    values = np.stack(list(numbers.values()), axis=1) if numbers else np.empty((0, 0))
    check_complete(names, values)
    truths = [quoted(label) for label, array in found.items() if array.dtype.kind == "b"]
    remark = f"Read true as 1 and false as 0 in: {listed(truths)}."
    return Columns(names, values, name, (remark,) if truths else ())


def _example(array: np.ndarray) -> str:
    """What a column that is not numeric holds, in short."""
    return repr(array[0])[:30] if array.dtype.kind == "O" else str(array.dtype)


def _numbers(array: np.ndarray) -> np.ndarray | None:
    """The column as float64, NaN where nothing is; None if it is not numeric."""
    if array.dtype.kind in "biuf":
        return array.astype(np.float64)
    if array.dtype.kind != "O":
        return None
    numbers = np.empty(len(array))
    for index, value in enumerate(array):  # of a column with gaps, or of exact decimals
        if value is None or type(value).__name__ in ("NAType", "NaTType"):
            numbers[index] = np.nan
        elif isinstance(value, str):
            return None
        else:
            try:
                numbers[index] = float(value)
            except (TypeError, ValueError):
                return None
    return numbers
