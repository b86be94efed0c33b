"""Tables of numbers as training runs use them: resampled and standardised for each run."""

import functools

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym.core.task import Split
from autoloss_gym.data.partition import five_way_partition, partition_on, resampled_rows
from autoloss_gym.data.tables.columns import Table

MAX_CLASSES = 100
Parts = dict[str, dict[str, Tensor]]


def resampled_regression(table: Table, keys: Int64[Tensor, " num_envs"], split: Split) -> Parts:
    """Training, validation and test part of each run, inputs and targets standardised.

    A run trains on a random four fifths of its training part, drawn from its key; the other parts
    are fixed. Means and deviations are those of the rows that it trains on.

    Returns:
        {"training" | "validation" | "test": {"inputs": (num_envs, rows, features), "targets":
        (num_envs, rows)}}, float32.
    """
    inputs, targets = _table_on(table, str(keys.device))
    rows = resampled_rows(_partition(targets), keys, split)
    return _paired(_standardised(inputs, rows), _standardised(targets, rows))


def resampled_classification(table: Table, keys: Int64[Tensor, " num_envs"], split: Split) -> Parts:
    """As `resampled_regression`, with "targets" the classes 0, 1, …, int64."""
    inputs, _ = _table_on(table, str(keys.device))
    classes = torch.from_numpy(load_classes(table)).to(keys.device)
    rows = resampled_rows(_partition(classes), keys, split)
    return _paired(
        _standardised(inputs, rows), {part: classes[index] for part, index in rows.items()}
    )


@functools.lru_cache(maxsize=16)
def load_classes(table: Table) -> np.ndarray:
    """The class 0, 1, … of every row of a table, int64.

    Raises:
        ValueError: the target does not look like classes, or a class is too rare to stand in every
            part.
    """
    values, classes = np.unique(table.targets, return_inverse=True)
    if (values != np.round(values)).any() or len(values) > MAX_CLASSES:
        raise ValueError(
            f"dataset={table.name}: the target has {len(values)} distinct values, from "
            f"{values[0]:g} to {values[-1]:g}; "
            f"expected classes, at most {MAX_CLASSES} whole numbers"
        )
    for name, rows in five_way_partition(len(classes)).items():
        missing = np.setdiff1d(np.arange(len(values)), classes[rows])
        if len(missing):
            rare = missing[0]
            raise ValueError(
                f"dataset={table.name}: class {values[rare]:g} has {(classes == rare).sum()} rows, "
                f"none of them in the {name.replace('_', ' ')} part; "
                "give more rows of it or leave it out"
            )
    return classes.astype(np.int64)


def with_validation_in_training(data: Parts) -> Parts:
    """`data` with the rows of the validation part added to the training part.

    The validation part stays.
    """
    training = {}
    for name, values in data["training"].items():
        training[name] = torch.cat([values, data["validation"][name]], dim=1)
    return {**data, "training": training}


@functools.lru_cache(maxsize=16)
def _table_on(table: Table, device: str) -> tuple[Tensor, Tensor]:
    """Inputs (rows, features) and targets (rows,) on a device, float64, shared by all runs."""
    inputs = torch.from_numpy(table.inputs).to(device)
    targets = torch.from_numpy(table.targets).to(device)
    return inputs, targets


def _partition(targets: Tensor) -> dict[str, Tensor]:
    return partition_on(len(targets), 0, str(targets.device))


def _standardised(
    values: Tensor, rows: dict[str, Tensor]
) -> dict[str, Float[Tensor, "num_envs rows *features"]]:
    """The values of each part, by the mean and deviation of each run's training rows, float32."""
    mean, deviation = moments(values[rows["training"]])
    return {
        part: ((values[index] - mean) / deviation).to(torch.float32) for part, index in rows.items()
    }


def moments(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over the rows; a constant column is left unscaled."""
    # The first row is subtracted so that a constant column has a deviation of exactly 0.
    first = values[:, :1]
    centred = values - first
    mean = first + centred.mean(dim=1, keepdim=True)
    deviation = centred.std(dim=1, keepdim=True, correction=0)
    return mean, torch.where(deviation > 0, deviation, 1.0)


def _paired(inputs: dict[str, Tensor], targets: dict[str, Tensor]) -> Parts:
    return {part: {"inputs": inputs[part], "targets": targets[part]} for part in inputs}
