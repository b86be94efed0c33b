"""What the tasks share that are made of generated data, of a table, or of several tables."""

from dataclasses import dataclass, field
from typing import Any

from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.task import Split
from autoloss_gym.data import table_families, tables
from autoloss_gym.data.tables.columns import Table


@dataclass(frozen=True, kw_only=True)
class TabularTask(GradientTask):
    """A task with generated data, a table of numbers, or a family of problems drawn from tables.

    Args:
        dataset: the name of generated or bundled data, "tables", or whatever else
            `tables.as_dataset` takes.
        target: the column to predict, of a table with several.
        tables: of dataset="tables", see `table_families.as_family`.
    """

    dataset: str | Any
    target: str | None = None
    tables: table_families.TableFamily | Any = ()
    table: Table | None = field(init=False, repr=False, default=None)
    pool: tuple[Table, ...] = field(init=False, repr=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "dataset", tables.as_dataset(self.dataset))
        object.__setattr__(self, "tables", table_families.as_family(self.tables, self.dataset))
        super().__post_init__()

    def find_tables(
        self,
        generated: tuple[str, ...],
        bundled: tuple[str, ...],
        pooled: tuple[str, ...],
        with_classes: bool,
    ) -> None:
        """Read what `dataset` and `tables` name; for the end of `__post_init__`.

        Args:
            generated: names of generated data.
            bundled: tables that may be the data set.
            pooled: tables of a family, where none are named.
            with_classes: whether targets of the family are classes.
        """
        own = (*generated, table_families.FAMILY)
        table = tables.find_table(self.dataset, self.target, own, bundled)
        pool = self.tables.load(self.dataset, pooled, with_classes)
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "pool", pool)

    @property
    def instances(self) -> str:
        return "problems" if self.table is None else "resamples"

    @property
    def data_digest(self) -> str:
        return table_families.joint_digest((self.table,) if self.table else self.pool)

    def remarks(self, split: Split) -> tuple[str, ...]:
        if self.table is None:
            return table_families.remarks(self.pool)
        return tables.target_remarks(self.table, self.dataset, self.target)
