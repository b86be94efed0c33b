"""Problems drawn from several real tables: other rows, columns, classes and noise for each run."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from autoloss_gym.core.task import Metric
from autoloss_gym.data import tables
from autoloss_gym.data.digests import digest_of
from autoloss_gym.data.partition import PARTS, five_way_partition
from autoloss_gym.data.resampled_tables import load_classes
from autoloss_gym.data.tables.columns import Table
from autoloss_gym.losses.fitting import MOST_LOG_RISK
from autoloss_gym.tools.arguments import build
from autoloss_gym.tools.bounds import Bounds, NonNegativeFloat, PositiveInt
from autoloss_gym.tools.fields import check_fields
from autoloss_gym.tools.names import shown

FAMILY = "tables"  # the name of such data
RELATIVE_LOG_RISK = Metric("relative_log_risk", worst=MOST_LOG_RISK)
# Rows of one part of a table that problems are drawn from: more would be sorted for every run.
MOST_ROWS = 2000
_FEW_VALUES = 20  # a column with no more distinct values is no target of a regression

_Flips = Annotated[float, Bounds("a number from 0 to 0.5", least=0, most=0.5)]


@dataclass(frozen=True, kw_only=True)
class TableFamily:
    """What problems are drawn from, and within which ranges; a range may be one number.

    Args:
        names: the tables, by name or path or whatever else `tables.as_dataset` takes; () for all
            bundled ones that suit the task.
        dimension: inputs of every problem: columns of the table first, then columns of normal
            noise.
        num_columns: how many of them are columns of the table, or all that it has where these are
            fewer.
        num_samples: rows that a run trains on, or all that there are where these are fewer.
        num_validation, num_test: the most rows that it is validated and scored on.
        label_noise: share of the training and validation labels that are turned to the other class;
            for classification.
        target_noise: deviation of the normal noise added to training and validation targets, in
            deviations of the target; for regression.
    """

    names: tuple[Any, ...] = ()
    dimension: PositiveInt = 32
    num_columns: PositiveInt | tuple[PositiveInt, PositiveInt] = (2, 32)
    num_samples: PositiveInt | tuple[PositiveInt, PositiveInt] = (16, 160)
    num_validation: PositiveInt = 60
    num_test: PositiveInt = 100
    label_noise: _Flips | tuple[_Flips, _Flips] = (0.0, 0.4)
    target_noise: NonNegativeFloat | tuple[NonNegativeFloat, NonNegativeFloat] = (0.0, 1.0)

    def __post_init__(self) -> None:
        check_fields(self)
        names = tuple(tables.as_dataset(name) for name in self.names)
        object.__setattr__(self, "names", names)
        for name in ("num_columns", "num_samples", "label_noise", "target_noise"):
            low, high = ends(getattr(self, name))
            if low > high:
                raise ValueError(f"{name}={shown((low, high))}: expected the smaller number first")
        if ends(self.num_columns)[0] > self.dimension:
            raise ValueError(
                f"num_columns={shown(self.num_columns)}: expected at most "
                f"dimension={self.dimension}, which counts columns of noise as well"
            )

    def load(self, dataset: Any, bundled: tuple[str, ...], with_classes: bool) -> tuple[Table, ...]:
        """The tables, by default all `bundled` ones; none unless the data set is "tables".

        Raises:
            ValueError: one line: no such name, the same table twice, a file that cannot be used, or
                a target that is no class where classes are wanted.
        """
        found: list[Table] = []
        for name in (self.names or bundled) if dataset == FAMILY else ():
            try:
                found.append(_load(name, bundled, with_classes))
            except ValueError as error:
                raise ValueError(f"tables: {error}") from None
            if found[-1] in found[:-1]:
                raise ValueError(f"tables={shown(self.names)}: {found[-1].name} is there twice")
        return tuple(found)


def as_family(value: Any, dataset: Any) -> TableFamily:
    """A family from what a user gives as `tables`.

    Args:
        value: names of tables; the arguments of a family as a mapping; or the family itself.
        dataset: of the task, which must be "tables" where anything is given.
    """
    if isinstance(value, TableFamily):
        family = value
    elif isinstance(value, Mapping):
        family = build(TableFamily, value)
    elif isinstance(value, tuple | list):
        family = TableFamily(names=tuple(value))
    else:
        raise ValueError(
            f"tables={shown(value)}: expected a list of names and paths, or a mapping with "
            "arguments of autoloss_gym.data.table_families.TableFamily"
        )
    if dataset != FAMILY and family != TableFamily():
        raise ValueError(f"tables={shown(value)}: give dataset={FAMILY!r} as well, or no tables")
    return family


def joint_digest(found: tuple[Table, ...]) -> str:
    """SHA-256 of all tables in their order, in hexadecimal; "" of none."""
    if len(found) < 2:
        return found[0].digest if found else ""
    return digest_of(np.empty(0), *(table.digest for table in found))


def remarks(found: tuple[Table, ...]) -> tuple[str, ...]:
    """Lines that belong under a table of results, none where there are no tables."""
    if not found:
        return ()
    names = ", ".join(table.name for table in found)
    line = f"Problems drawn from {names}; the splits differ in rows, not in tables."
    return (line, *(remark for table in found for remark in table.remarks))


def ends(value: Any) -> tuple[Any, Any]:
    """The ends of a range that may be one number."""
    return value if isinstance(value, tuple) else (value, value)


def _load(name: Any, bundled: tuple[str, ...], with_classes: bool) -> Table:
    table = tables.find_table(name, None, (), bundled)
    assert table is not None  # none of these names stands for generated data
    if with_classes:
        load_classes(table)
    elif not _numeric(table).any():
        raise ValueError(
            f"dataset={table.name}: no column has more than {_FEW_VALUES} values, none of which "
            "fills half of the rows; expected one that can be the target of a regression"
        )
    return table


@dataclass(frozen=True)
class Stack:
    """Tables one after another, on a device, shared by all runs.

    Args:
        columns: inputs and, last, targets, padded with 0 to equal widths, float64.
        classes: of the rows; 0 where the targets are read as numbers.
        rows: of each part of the partition, by table, padded with 0.
        num_rows: how many these are.
        num_classes: of each table.
        most_classes: the largest of these.
        inputs: columns that may be inputs of a problem.
        targets: columns that may be its target, where targets are read as numbers.
    """

    columns: Float[Tensor, "rows columns"]
    classes: Int64[Tensor, " rows"]
    rows: Mapping[str, Int64[Tensor, "tables _"]]
    num_rows: Mapping[str, Int64[Tensor, " tables"]]
    num_classes: Int64[Tensor, " tables"]
    most_classes: int
    inputs: Bool[Tensor, "tables columns"]
    targets: Bool[Tensor, "tables columns"]


@functools.lru_cache(maxsize=16)
def stacked(found: tuple[Table, ...], device: str, with_classes: bool) -> Stack:
    """The tables on a device, their targets read as classes or as numbers."""
    widest = max(table.inputs.shape[1] for table in found)
    columns, classes, targets = [], [], []
    rows: dict[str, list[Tensor]] = {part: [] for part in PARTS}
    first = 0
    for table in found:
        values = np.zeros((len(table.inputs), widest + 1))
        values[:, : table.inputs.shape[1]] = table.inputs
        values[:, -1] = table.targets
        columns.append(values)
        classes.append(load_classes(table) if with_classes else np.zeros(len(values), np.int64))
        targets.append(np.insert(_numeric(table), -1, [False] * (widest - table.inputs.shape[1])))
        for part, indices in five_way_partition(len(values)).items():
            rows[part].append(torch.from_numpy(indices[:MOST_ROWS]) + first)
        first += len(values)

    suited = np.stack(targets)
    usable = np.arange(widest + 1) < np.array([[table.inputs.shape[1]] for table in found])
    usable[:, -1] = suited[:, -1] & (not with_classes)
    num_classes = [int(each.max()) + 1 for each in classes]
    return Stack(
        columns=torch.from_numpy(np.concatenate(columns)).to(device),
        classes=torch.from_numpy(np.concatenate(classes)).to(device),
        rows={part: pad_sequence(each, batch_first=True).to(device) for part, each in rows.items()},
        num_rows={part: _counts(map(len, each), device) for part, each in rows.items()},
        num_classes=_counts(num_classes, device),
        most_classes=max(num_classes),
        inputs=torch.from_numpy(usable).to(device),
        targets=torch.from_numpy(suited).to(device),
    )


@functools.lru_cache(maxsize=64)
def _numeric(table: Table) -> Bool[np.ndarray, " columns"]:
    """Which inputs and, last, targets look like measured numbers rather than codes or counts."""
    found = []
    for column in (*table.inputs.T, table.targets):
        _, counts = np.unique(column, return_counts=True)
        found.append(len(counts) > _FEW_VALUES and counts.max() <= len(column) / 2)
    return np.array(found)


def _counts(values: Iterable[int], device: str) -> Int64[Tensor, " tables"]:
    return torch.tensor(list(values), dtype=torch.int64, device="cpu").to(device)
