"""Tables of numbers with a numeric target: bundled with scikit-learn, or a user's CSV or NPZ file."""

import csv
import functools
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoloss_gym.tools.names import unknown

BUNDLED_REGRESSION = ("diabetes",)
BUNDLED_CLASSIFICATION = ("breast_cancer", "digits")
MIN_ROWS = 25


@dataclass(frozen=True)
class Table:
    """Inputs (rows, features) and targets (rows,), float64 and finite.

    `target` is the name of a CSV file's target column; other data have none.
    """

    inputs: np.ndarray
    targets: np.ndarray
    target: str | None = None


@functools.lru_cache(maxsize=16)
def load_table(dataset: str, target: str | None = None) -> Table:
    """Read a bundled data set by name, or a `.csv` or `.npz` file.

    Args:
        dataset: "diabetes", "breast_cancer", "digits", or a path. A CSV has a header line and
            numeric columns; an NPZ has the arrays "inputs" (rows, features) and "targets" (rows,).
        target: the CSV column to predict; by default the last.

    A file is read once in a process.

    Raises:
        ValueError: one line that names the file and the column, row or array that cannot be used.
    """
    if target is not None and not dataset.endswith(".csv"):
        raise ValueError(
            f"target={target!r}: dataset={dataset!r} has no columns to choose from; only a CSV file does"
        )
    bundled = (*BUNDLED_REGRESSION, *BUNDLED_CLASSIFICATION)
    if dataset in bundled:
        from sklearn import datasets  # noqa: PLC0415 (slow to import, needed here alone)

        return _checked(dataset, *getattr(datasets, f"load_{dataset}")(return_X_y=True))
    path = Path(dataset).expanduser()
    if path.suffix not in (".csv", ".npz"):
        raise ValueError(
            f"dataset={dataset!r}: expected {', '.join(bundled)} or a path ending in .csv or .npz"
        )
    if not path.is_file():
        raise ValueError(
            f"dataset={dataset!r}: there is no such file; give the path of a .csv or .npz file"
        )
    return _checked(
        dataset, *(_read_csv(path, target) if path.suffix == ".csv" else _read_npz(path))
    )


def check_source(
    dataset: str, target: str | None, generated: tuple[str, ...], bundled: tuple[str, ...]
) -> None:
    """ValueError unless `dataset` is one of these names or may be a path, and `target` is given for
    a path alone.
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
            f"dataset={dataset!r}: expected inputs (rows, features) and targets (rows,), got {inputs.shape}, {targets.shape}"
        )
    if len(targets) < MIN_ROWS or not inputs.shape[1]:
        raise ValueError(
            f"dataset={dataset!r}: {len(targets)} rows and {inputs.shape[1]} features are too few; "
            f"give at least {MIN_ROWS} rows and one feature beside the target"
        )
    for name, values in (("inputs", inputs), ("targets", targets[:, None])):
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            raise ValueError(
                f"dataset={dataset!r}: {name} hold NaN or infinity, first at row {bad[0][0]}, column {bad[0][1]} "
                "(counted from 0); remove or fill such rows"
            )
    if (targets == targets[0]).all():
        raise ValueError(f"dataset={dataset!r}: the target is constant; there is nothing to learn")
    return Table(
        np.ascontiguousarray(inputs, np.float64),
        np.ascontiguousarray(targets, np.float64),
        target,
    )


def _read_csv(path: Path, target: str | None) -> tuple[np.ndarray, np.ndarray, str | None]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            names, *rows = [row for row in csv.reader(file) if row] or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"dataset={str(path)!r}: this is not CSV text in UTF-8 ({error})"
        ) from None
    _check_header(path, names)
    if target is not None and target not in names:
        raise ValueError(
            f"dataset={str(path)!r}: there is no column {target!r}; the columns are {', '.join(names)}"
        )
    for number, row in enumerate(rows, start=2):
        if len(row) != len(names):
            raise ValueError(
                f"dataset={str(path)!r}: record {number} has {len(row)} fields, the header has {len(names)}"
            )
    columns = [_numbers(path, name, [row[i] for row in rows]) for i, name in enumerate(names)]
    for name, column in zip(names, columns, strict=True):
        bad = np.flatnonzero(~np.isfinite(column))
        if len(bad):
            raise ValueError(
                f"dataset={str(path)!r}: column {name!r} is empty, NaN or infinite in record {bad[0] + 2}; "
                "remove or fill such rows"
            )
    chosen = names.index(target) if target is not None else len(names) - 1
    inputs = [column for i, column in enumerate(columns) if i != chosen]
    shape = (len(rows), len(inputs))
    targets = np.array(columns[chosen] if columns else [])
    return np.array(inputs).T.reshape(shape), targets, names[chosen] if names else None


def _check_header(path: Path, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"dataset={str(path)!r}: several columns are called {twice[0]!r}; give each its own name"
        )
    if names and all(name.replace(".", "").lstrip("-").isdigit() for name in names):
        raise ValueError(
            f"dataset={str(path)!r}: the first line holds numbers; expected a header with the columns' names"
        )


def _numbers(path: Path, name: str, values: list[str]) -> list[float]:
    try:
        return [float(value) if value.strip() else float("nan") for value in values]
    except ValueError as error:
        raise ValueError(
            f"dataset={str(path)!r}: column {name!r} is not numeric ({error}); encode it as numbers or leave it out"
        ) from None


def _read_npz(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            if not {"inputs", "targets"} <= set(file.files):
                raise ValueError(f"it holds {', '.join(file.files)}")
            arrays = [file[name] for name in ("inputs", "targets")]
    except (
        ValueError,
        OSError,
        EOFError,
        KeyError,
        TypeError,
        AttributeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise ValueError(
            f"dataset={str(path)!r}: expected an NPZ file with numeric arrays 'inputs' (rows, features) and 'targets' (rows,); "
            f"{' '.join(str(error).split()[:30])}"
        ) from None
    for name, array in zip(("inputs", "targets"), arrays, strict=True):
        if array.dtype.kind not in "biuf":
            raise ValueError(
                f"dataset={str(path)!r}: array {name!r} has dtype {array.dtype}; expected real numbers"
            )
    return arrays[0].astype(np.float64), arrays[1].astype(np.float64)
