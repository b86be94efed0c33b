"""What the supervised tasks share: generated problems, a real table or a family of tables."""

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

from jaxtyping import Int64
from torch import Tensor

from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.task import Keys, Split
from autoloss_gym.data import resampled_tables, table_families, table_problems, tables
from autoloss_gym.data.tables.columns import Table


@dataclass(frozen=True, kw_only=True)
class TableTask(GradientTask):
    """A task on rows of inputs and targets, all of which a step sees.

    Args:
        dataset: a name of generated data, "tables", or anything that `find_table` knows.
        target: the column of the table to predict, by default the last.
        tables: what problems of "tables" are drawn from.
        train_on_validation: fit the training and the validation part together.
    """

    full_batch: ClassVar[bool] = True
    can_train_on_validation: ClassVar[bool] = True
    # Names of generated data, and of bundled tables: for `dataset`, and for a family by default.
    generated: ClassVar[tuple[str, ...]]
    bundled: ClassVar[tuple[str, ...]]
    bundled_family: ClassVar[tuple[str, ...]]
    # Whether targets are classes.
    with_classes: ClassVar[bool]
    # Arguments of generated data that may be ranges.
    ranges: ClassVar[tuple[str, ...]]

    dataset: str | Any
    target: str | None = None
    dimension: int
    train_on_validation: bool = False
    tables: table_families.TableFamily | Any = ()
    table: Table | None = field(init=False, repr=False, default=None)
    family: tuple[Table, ...] = field(init=False, repr=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "dataset", tables.as_dataset(self.dataset))
        object.__setattr__(self, "tables", table_families.as_family(self.tables, self.dataset))
        super().__post_init__()
        self.check_arguments()
        names = (*self.generated, table_families.FAMILY)
        table = tables.find_table(self.dataset, self.target, names, self.bundled)
        if table is not None and self.with_classes:
            resampled_tables.load_classes(table)
        family = self.tables.load(self.dataset, self.bundled_family, with_classes=self.with_classes)
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "family", family)

    @abstractmethod
    def check_arguments(self) -> None:
        """Refuse arguments that do not go together, before data are read."""

    @abstractmethod
    def generated_data(self, keys: Int64[Tensor, " num_envs"]) -> dict[str, Any]:
        """Problems that are no table's."""

    @property
    def is_generated(self) -> bool:
        """Whether problems are drawn from no table."""
        return self.table is None and not self.family

    @property
    def is_mixture(self) -> bool:
        """Whether generated problems differ in more than their draws."""
        names = (*self.ranges, "learning_rate_factor")
        return any(isinstance(getattr(self, name), tuple) for name in names)

    @property
    def instances(self) -> str:
        return "problems" if self.table is None else "resamples"

    @property
    def data_digest(self) -> str:
        return table_families.joint_digest((self.table,) if self.table else self.family)

    @property
    def num_features(self) -> int:
        """Inputs of a row."""
        if self.family:
            return int(self.tables.dimension)
        return self.dimension if self.table is None else self.table.inputs.shape[1]

    def remarks(self, split: Split) -> tuple[str, ...]:
        if self.table is None:
            return table_families.remarks(self.family)
        return tables.target_remarks(self.table, self.dataset, self.target)

    def make_data(self, keys: Keys) -> dict[str, Any]:
        regression = resampled_tables.resampled_regression, table_problems.regression_problems
        classification = (
            resampled_tables.resampled_classification,
            table_problems.classification_problems,
        )
        resampled, problems = classification if self.with_classes else regression
        data: dict[str, Any]
        if self.family:
            data = problems(self.tables, self.family, keys.problem, keys.split)
        elif self.table is not None:
            data = resampled(self.table, keys.problem, keys.split)
        else:
            return self.generated_data(keys.problem)
        if self.train_on_validation:
            data = resampled_tables.with_validation_in_training(data)
        return data

    def batch(self, data: Any, keys: Int64[Tensor, " num_envs"]) -> Any:
        return data["training"]
