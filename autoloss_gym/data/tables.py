"""Tables of numbers with a numeric target, bundled with scikit-learn or read from CSV or NPZ."""

import csv
import functools
import importlib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoloss_gym.tools.names import unknown

BUNDLED_REGRESSION = ("diabetes",)
BUNDLED_CLASSIFICATION = ("breast_cancer", "digits")
MIN_ROWS = 25

# What NumPy raises for the ways in which an NPZ file can be damaged.
_NPZ_ERRORS = (
    ValueError,
    OSError,
    EOFError,
    KeyError,
    TypeError,
    AttributeError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class Table:
    """A table of numbers.

    Args:
        inputs: (rows, features), float64 and finite.
        targets: (rows,), float64 and finite.
        target: name of a CSV file's target column; other data have none.
    """

    inputs: np.ndarray
    targets: np.ndarray
    target: str | None = None


@functools.lru_cache(maxsize=16)
def load_table(dataset: str, target: str | None = None) -> Table:
    """Read a bundled data set by name, or a `.csv` or `.npz` file.

    A file is read once in a process.

    Args:
        dataset: "diabetes", "breast_cancer", "digits", or a path. A CSV has a header line and
            numeric columns; an NPZ has the arrays "inputs" (rows, features) and "targets" (rows,).
        target: the CSV column to predict; by default the last.

    Raises:
        ValueError: one line that names the file and the column, row or array that cannot be used.
    """
    if target is not None and not dataset.endswith(".csv"):
        raise ValueError(
            f"target={target!r}: dataset={dataset!r} has no columns to choose from; "
            "only a CSV file does"
        )
    bundled = (*BUNDLED_REGRESSION, *BUNDLED_CLASSIFICATION)
    if dataset in bundled:
        # Imported here because it takes long, and only these three need it.
        datasets = importlib.import_module("sklearn.datasets")
        load = getattr(datasets, f"load_{dataset}")
        return _checked(dataset, *load(return_X_y=True))

    path = Path(dataset).expanduser()
    if path.suffix not in (".csv", ".npz"):
        known = ", ".join(bundled)
        raise ValueError(f"dataset={dataset!r}: expected {known} or a path ending in .csv or .npz")
    if not path.is_file():
        raise ValueError(
            f"dataset={dataset!r}: there is no such file; give the path of a .csv or .npz file"
        )
    if path.suffix == ".csv":
        return _checked(dataset, *_read_csv(path, target))
    return _checked(dataset, *_read_npz(path))


def check_source(
    dataset: str, target: str | None, generated: tuple[str, ...], bundled: tuple[str, ...]
) -> None:
    """Raise ValueError unless `dataset` is a known name or may be a path, and `target` fits it.

    Args:
        dataset: the name or path to be checked.
        target: a column, which generated data do not have.
        generated, bundled: the known names.
    """
    known = (*generated, *bundled)
    if dataset not in known and "." not in dataset:
        raise ValueError(unknown("dataset", dataset, known) + ", or a path")
    if dataset in generated and target is not None:
        raise ValueError(
            f"target={target!r}: {dataset} data have no columns to choose from; give a CSV file"
        )


def target_remarks(dataset: str, target: str | None) -> tuple[str, ...]:
    """The line that names a CSV file's target in a report; none for other data."""
    column = load_table(dataset, target).target
    if column is None:
        return ()
    which = " (the last)" if target is None else ""
    return (f"Target: column {column!r}{which} of {Path(dataset).name}.",)


def _checked(
    dataset: str, inputs: np.ndarray, targets: np.ndarray, target: str | None = None
) -> Table:
    if inputs.ndim != 2 or targets.shape != inputs.shape[:1]:
        raise ValueError(
            f"dataset={dataset!r}: expected inputs (rows, features) and targets (rows,), "
            f"got {inputs.shape}, {targets.shape}"
        )
    rows, features = inputs.shape
    if rows < MIN_ROWS or features == 0:
        raise ValueError(
            f"dataset={dataset!r}: {rows} rows and {features} features are too few; "
            f"give at least {MIN_ROWS} rows and one feature beside the target"
        )
    _check_finite(dataset, "inputs", inputs)
    _check_finite(dataset, "targets", targets[:, None])
    if (targets == targets[0]).all():
        raise ValueError(f"dataset={dataset!r}: the target is constant; there is nothing to learn")
    return Table(
        inputs=np.ascontiguousarray(inputs, np.float64),
        targets=np.ascontiguousarray(targets, np.float64),
        target=target,
    )


def _check_finite(dataset: str, name: str, values: np.ndarray) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        raise ValueError(
            f"dataset={dataset!r}: {name} hold NaN or infinity, first at row {row}, "
            f"column {column} (counted from 0); remove or fill such rows"
        )


def _read_csv(path: Path, target: str | None) -> tuple[np.ndarray, np.ndarray, str | None]:
    names, rows = _read_records(path)
    _check_header(path, names)
    if target is not None and target not in names:
        raise ValueError(
            f"dataset={str(path)!r}: there is no column {target!r}; "
            f"the columns are {', '.join(names)}"
        )
    for number, row in enumerate(rows, start=2):  # the header is record 1
        if len(row) != len(names):
            raise ValueError(
                f"dataset={str(path)!r}: record {number} has {len(row)} fields, "
                f"the header has {len(names)}"
            )

    columns = []
    for index, name in enumerate(names):
        columns.append(_numbers(path, name, [row[index] for row in rows]))
    for name, column in zip(names, columns, strict=True):
        bad = np.flatnonzero(~np.isfinite(column))
        if len(bad):
            raise ValueError(
                f"dataset={str(path)!r}: column {name!r} is empty, NaN or infinite "
                f"in record {bad[0] + 2}; remove or fill such rows"
            )

    if not columns:  # an empty file, whose size is checked as any other's
        return np.empty((0, 0)), np.empty(0), None
    chosen = -1 if target is None else names.index(target)
    targets = np.array(columns.pop(chosen))
    inputs = np.array(columns).T.reshape(len(rows), len(columns))
    return inputs, targets, names[chosen]


def _read_records(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header and all other records that are not empty lines."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            records = [record for record in csv.reader(file) if record]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"dataset={str(path)!r}: this is not CSV text in UTF-8 ({error})"
        ) from None
    if not records:
        return [], []
    return records[0], records[1:]


def _check_header(path: Path, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(
            f"dataset={str(path)!r}: several columns are called {repeated[0]!r}; "
            "give each its own name"
        )
    if names and all(name.replace(".", "").lstrip("-").isdigit() for name in names):
        raise ValueError(
            f"dataset={str(path)!r}: the first line holds numbers; "
            "expected a header with the columns' names"
        )


def _numbers(path: Path, name: str, values: list[str]) -> list[float]:
    """The numbers of a column, NaN where a field is empty."""
    try:
        return [float(value) if value.strip() else float("nan") for value in values]
    except ValueError as error:
        raise ValueError(
            f"dataset={str(path)!r}: column {name!r} is not numeric ({error}); "
            "encode it as numbers or leave it out"
        ) from None


def _read_npz(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            if not {"inputs", "targets"} <= set(file.files):
                raise ValueError(f"it holds {', '.join(file.files)}")
            inputs, targets = file["inputs"], file["targets"]
    except _NPZ_ERRORS as error:
        detail = " ".join(str(error).split()[:30])  # one line, and not a long one
        raise ValueError(
            f"dataset={str(path)!r}: expected an NPZ file with numeric arrays "
            f"'inputs' (rows, features) and 'targets' (rows,); {detail}"
        ) from None
    return _real(path, "inputs", inputs), _real(path, "targets", targets)


def _real(path: Path, name: str, array: np.ndarray) -> np.ndarray:
    """The array as float64."""
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"dataset={str(path)!r}: array {name!r} has dtype {array.dtype}; expected real numbers"
        )
    return array.astype(np.float64)
