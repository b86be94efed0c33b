"""Tables of numbers with a numeric target: bundled with scikit-learn, from files, or data frames.

A task asks for its table by `find_table` when it is made, and keeps it: the same file may be
rewritten while the task is in use.
"""

import functools
import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from autoloss_gym.data.archives import read_arrays
from autoloss_gym.data.files import DAMAGE, Stamp, check_regular, data_path, stamp
from autoloss_gym.data.tables.columns import Columns, Table, checked, with_target
from autoloss_gym.data.tables.frames import from_arrays, from_frame, is_frame, read_parquet
from autoloss_gym.data.tables.text import SUFFIXES, read_text
from autoloss_gym.tools.names import shown, unknown

BUNDLED_REGRESSION = ("diabetes",)
BUNDLED_CLASSIFICATION = ("breast_cancer", "digits", "wine", "iris")
# Those with columns that can be the target of a regression.
BUNDLED_NUMBERS = ("diabetes", "breast_cancer", "wine", "iris")
_BUNDLED = (*BUNDLED_REGRESSION, *BUNDLED_CLASSIFICATION)
_FORMS = ".csv, .tsv or .txt (each also with .gz), .npz or .parquet"
_WORKBOOKS = (".xlsx", ".xls", ".ods", ".numbers")


def as_dataset(value: Any) -> str | Columns:
    """What a user gives as a data set, as something that can be compared and hashed.

    Args:
        value: a name; a path; a data frame, which is copied; a pair of arrays, inputs (rows,
            features) and targets (rows,), which are copied; or what this function returned.

    Raises:
        ValueError: it is something else, or the frame or the arrays cannot be used.
    """
    if isinstance(value, str | Columns):
        return value
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if is_frame(value):
        return from_frame(value)
    if isinstance(value, tuple | list) and len(value) == 2 and not isinstance(value[0], str):
        return from_arrays(*value)
    raise ValueError(
        f"dataset of type {type(value).__name__}: expected a name, a path, a data frame, or a pair "
        "of arrays (inputs, targets)"
    )


def find_table(
    dataset: str | Columns,
    target: str | None,
    generated: tuple[str, ...],
    bundled: tuple[str, ...],
) -> Table | None:
    """The table of a task; None where the task generates its data.

    Args:
        dataset: as `as_dataset` returns it.
        target: a column, which generated data do not have.
        generated, bundled: the names that the task knows.

    Raises:
        ValueError: one line: no such name, no such column, or a file that cannot be used.
    """
    _check_target(target)
    if isinstance(dataset, str):
        known = (*generated, *bundled)
        may_be_path = "." in dataset or os.sep in dataset
        if dataset not in known and not may_be_path:
            raise ValueError(unknown("dataset", dataset, known) + ", or a path")
        if dataset in generated and target is not None:
            raise ValueError(
                f"target={target!r}: {dataset} data have no columns to choose from; give a CSV file"
            )
        if dataset in generated:
            return None
    return load_table(dataset, target)


def load_table(dataset: Any, target: str | None = None) -> Table:
    """Read a bundled data set by name, or a table from a file.

    A file is read again only if it was rewritten.

    Args:
        dataset: "diabetes", "breast_cancer", "digits", "wine", "iris", or a path. A text table has
            a header line and numeric columns; ',', ';', tabs or '|' stand between them, and it may
            be packed with gzip. An NPZ file has the arrays "inputs" (rows, features) and "targets"
            (rows,). A Parquet file needs pyarrow or Polars. Or what else `as_dataset` takes.
        target: the column to predict; by default the last.

    Raises:
        ValueError: one line that names the file and the column, record or array that cannot be
            used.
    """
    dataset = as_dataset(dataset)
    _check_target(target)
    if isinstance(dataset, Columns):
        return with_target(dataset, target)
    path = data_path(dataset)
    has_columns = dataset not in _BUNDLED and path.suffix.lower() != ".npz"
    if target is not None and not has_columns:
        raise ValueError(
            f"target={target!r}: dataset={dataset!r} has no columns to choose from; "
            "only text and Parquet files do"
        )
    if dataset in _BUNDLED:
        return _load(dataset, target, ())
    _check_suffix(dataset, path)
    check_regular(path, f"a file ending in {_FORMS}")
    return _load(dataset, target, stamp([path]))


def target_remarks(table: Table, dataset: str | Columns, target: str | None) -> tuple[str, ...]:
    """Lines that name the target's column, where it has a name, and say how the table was read."""
    if table.target is None:
        return table.remarks
    which = " (the last)" if target is None else ""
    source = repr(dataset) if isinstance(dataset, Columns) else Path(dataset).name
    return (f"Target: column {table.target!r}{which} of {source}.", *table.remarks)


@functools.lru_cache(maxsize=16)
def _load(dataset: str, target: str | None, written: Stamp) -> Table:
    if dataset in _BUNDLED:
        # Imported here because it takes long, and only bundled ones need it.
        datasets = importlib.import_module("sklearn.datasets")
        load = getattr(datasets, f"load_{dataset}")
        return checked(repr(dataset), *load(return_X_y=True))
    path = data_path(dataset)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return _read_npz(path)
    columns = read_parquet(path) if suffix == ".parquet" else read_text(path)
    return with_target(columns, target)


def _check_target(target: Any) -> None:
    if target is not None and not isinstance(target, str):
        raise ValueError(
            f"target={shown(target)}: expected the name of one column; a task has one target"
        )


def _check_suffix(dataset: str, path: Path) -> None:
    lowered = path.name.lower()
    if lowered.endswith((*SUFFIXES, ".npz", ".parquet")):
        return
    advice = "; save the sheet as CSV" if lowered.endswith(_WORKBOOKS) else ""
    expected = f"{', '.join(_BUNDLED)} or a path ending in {_FORMS}{advice}"
    raise ValueError(f"dataset={shown(dataset)}: expected {expected}")


def _read_npz(path: Path) -> Table:
    name = repr(str(path))
    try:
        arrays, found = read_arrays(path, ("inputs", "targets"))
        if len(arrays) < 2:
            raise ValueError(f"it holds {', '.join(found)}")
    except DAMAGE as error:
        detail = " ".join(str(error).split()[:30])  # one line, and not a long one
        raise ValueError(
            f"dataset={name}: expected an NPZ file with numeric arrays "
            f"'inputs' (rows, features) and 'targets' (rows,); {detail}"
        ) from None
    return checked(name, _real(name, "inputs", arrays), _real(name, "targets", arrays))


def _real(name: str, label: str, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The array as float64."""
    array = arrays[label]
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"dataset={name}: array {label!r} has dtype {array.dtype}; expected real numbers"
        )
    return array.astype(np.float64)
