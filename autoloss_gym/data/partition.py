"""Real data as training runs: one fixed five-way partition, resampled for each run, and tables of
numbers standardised.

The partition is that of the AutoLoss paper: a controller is learned on its own training and
validation part, and judged on tasks that use the other three.
"""

import functools

import numpy as np
import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.task import Split
from autoloss_gym.data.images import Images, data_folder, load_images
from autoloss_gym.data.tables import load_table

MAX_CLASSES = 100
_PARTS = {
    "controller_train": 0.25,
    "controller_validation": 0.15,
    "train": 0.25,
    "validation": 0.15,
    "test": 0.2,
}
# Which part a run trains on, is validated on and is scored on. The test part serves the test split
# alone.
_ROLES: dict[Split, tuple[str, str, str]] = {
    "train": ("controller_train", "controller_validation", "validation"),
    "validation": ("train", "validation", "controller_validation"),
    "test": ("train", "validation", "test"),
}


def five_way_partition(num_rows: int, num_test: int = 0) -> dict[str, np.ndarray]:
    """Row indices of the five parts, disjoint, fixed for a number of rows.

    Where the authors of the data keep the last `num_test` rows apart for testing, these are the
    test part, and the other four share the rest in the same proportions.
    """
    shares = {name: share for name, share in _PARTS.items() if name != "test" or not num_test}
    total, num_others = 1 - _PARTS["test"] if num_test else 1.0, num_rows - num_test
    order = random.permutation(torch.tensor([num_others]), num_others)[0].numpy()
    ends = np.round(np.cumsum(list(shares.values())) * num_others / total).astype(int)
    parts = dict(zip(shares, np.split(order, ends[:-1]), strict=True))
    return parts | ({"test": np.arange(num_others, num_rows)} if num_test else {})


def resampled_regression(
    dataset: str, target: str | None, keys: Tensor, split: Split
) -> dict[str, dict[str, Tensor]]:
    """Training, validation and test part of each run, inputs and targets standardised on its
    training part.

    A run trains on a random four fifths of its training part, drawn from its key; the other parts
    are fixed.

    Returns:
        {"training" | "validation" | "test": {"inputs": (num_envs, rows, features), "targets":
        (num_envs, rows)}}, float32.
    """
    inputs, targets, parts = _table_on(dataset, target, str(keys.device))
    rows = _resampled_rows(parts, keys, split)
    return _standardised("inputs", inputs, rows, _standardised("targets", targets, rows))


def resampled_classification(
    dataset: str, target: str | None, keys: Tensor, split: Split
) -> dict[str, dict[str, Tensor]]:
    """As `resampled_regression`, with "targets" the classes 0, 1, …, int64."""
    inputs, _, parts = _table_on(dataset, target, str(keys.device))
    classes = torch.from_numpy(load_classes(dataset, target)).to(keys.device)
    rows = _resampled_rows(parts, keys, split)
    return _standardised(
        "inputs", inputs, rows, {name: {"targets": classes[index]} for name, index in rows.items()}
    )


@functools.lru_cache(maxsize=16)
def load_classes(dataset: str, target: str | None = None) -> np.ndarray:
    """The class 0, 1, … of every row of a table, int64.

    Raises:
        ValueError: the target does not look like classes, or a class is too rare to stand in every
            part.
    """
    table = load_table(dataset, target)
    values, classes = np.unique(table.targets, return_inverse=True)
    if (values != np.round(values)).any() or len(values) > MAX_CLASSES:
        raise ValueError(
            f"dataset={dataset!r}: the target has {len(values)} distinct values, from {values[0]:g} to {values[-1]:g}; "
            f"expected classes, at most {MAX_CLASSES} whole numbers"
        )
    for name, rows in five_way_partition(len(classes)).items():
        missing = np.setdiff1d(np.arange(len(values)), classes[rows])
        if len(missing):
            raise ValueError(
                f"dataset={dataset!r}: class {values[missing[0]]:g} has {(classes == missing[0]).sum()} rows, none of them in "
                f"the {name.replace('_', ' ')} part; give more rows of it or leave it out"
            )
    return classes.astype(np.int64)


def resampled_images(
    images: Images, keys: Tensor, split: Split, num_samples: int, num_held_out: int, num_test: int
) -> dict[str, Int64[Tensor, "num_envs _"]]:
    """Which images each run trains on, is validated on and is scored on, as rows of the set that
    all runs share.

    Args:
        images: the set.
        keys: of the problems, (num_envs,).
        split: which parts of the partition play these roles.
        num_samples: images that a run trains on, drawn from its training part; 0 for four fifths of
            it.
        num_held_out, num_test: images of the validation and of the test part, fixed, at most.

    Raises:
        ValueError: the training part has fewer than `num_samples` images.
    """
    parts = five_way_partition(len(images.images), images.num_test)
    training, validation, test = (
        torch.from_numpy(parts[role]).to(keys.device) for role in _ROLES[split]
    )
    if num_samples > len(training):
        raise ValueError(
            f"num_samples={num_samples}: the training part has {len(training)} images; expected at most as many"
        )
    order = random.permutation(keys, len(training))[:, : num_samples or len(training) * 4 // 5]
    fixed = {"validation": validation[:num_held_out], "test": test[:num_test]}
    return {"training": training[order]} | {
        name: rows.expand(len(keys), -1) for name, rows in fixed.items()
    }


@torch.compiler.assume_constant_result
def pixels_on(
    dataset: str, data_dir: str | None, size: int, device: str
) -> Shaped[Tensor, "images pixels"]:
    """All images of a set, each in one row as it is stored, on a device; loaded once and shared by
    all runs.
    """
    return _pixels_on(dataset, data_folder(data_dir), size, device)


@torch.compiler.assume_constant_result
def image_shape(dataset: str, data_dir: str | None, size: int) -> tuple[int, int, int]:
    """Height, width and channels of the images of a set."""
    height, width, channels = load_images(dataset, data_dir, size).images.shape[1:]
    return height, width, channels


@torch.compiler.assume_constant_result
def has_labels(dataset: str, data_dir: str | None, size: int) -> bool:
    """Whether it is known what the images of a set show."""
    return load_images(dataset, data_dir, size).labels is not None


@torch.compiler.assume_constant_result
def labels_on(
    dataset: str, data_dir: str | None, size: int, device: str
) -> Int64[Tensor, " images"]:
    """The classes of all images of a set that has labels, on a device."""
    return _labels_on(dataset, data_folder(data_dir), size, device)


@torch.compiler.assume_constant_result
def pixel_variance(dataset: str, data_dir: str | None, size: int) -> float:
    """Variance of a pixel over the controller's training part of a set of images, mean over pixels;
    positive.
    """
    return _pixel_variance(dataset, data_folder(data_dir), size)


def gather(
    pixels: Shaped[Tensor, "images pixels"], rows: Int64[Tensor, "num_envs rows"]
) -> Float[Tensor, "num_envs rows pixels"]:
    """The images `rows` of each run, float32 in [0, 1]."""
    values = pixels.index_select(0, rows.flatten())
    values = values if values.is_floating_point() else values.to(torch.float32) / 255
    return values.view(*rows.shape, -1)


def with_validation_in_training(data: dict[str, dict[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
    """`data` with the rows of the validation part added to the training part; the validation part
    stays.
    """
    training = {
        name: torch.cat([data["training"][name], data["validation"][name]], dim=1)
        for name in data["training"]
    }
    return {**data, "training": training}


def _resampled_rows(parts: dict[str, Tensor], keys: Tensor, split: Split) -> dict[str, Tensor]:
    """Row indices (num_envs, rows) of each part of each run."""
    training, validation, test = (parts[role] for role in _ROLES[split])
    order = random.permutation(keys, len(training))[:, : len(training) * 4 // 5]
    fixed = {"validation": validation.expand(len(keys), -1), "test": test.expand(len(keys), -1)}
    return {"training": training[order]} | fixed


def _standardised(
    name: str,
    values: Tensor,
    rows: dict[str, Tensor],
    others: dict[str, dict[str, Tensor]] | None = None,
) -> dict[str, dict[str, Tensor]]:
    """`others`, with `values` of every part added under `name`, standardised on the training part
    of each run, float32.
    """
    mean, deviation = _moments(values[rows["training"]])
    parts = {
        part: ((values[index] - mean) / deviation).to(torch.float32) for part, index in rows.items()
    }
    return {part: {name: each, **((others or {}).get(part, {}))} for part, each in parts.items()}


def _moments(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over the rows; a constant column is left unscaled."""
    first = values[:, :1]  # subtracted so that a constant column has a deviation of exactly 0
    centred = values - first
    deviation = centred.std(dim=1, keepdim=True, correction=0)
    return first + centred.mean(dim=1, keepdim=True), torch.where(deviation > 0, deviation, 1.0)


@functools.lru_cache(maxsize=16)
def _table_on(
    dataset: str, target: str | None, device: str
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    table = load_table(dataset, target)
    parts = {
        name: torch.from_numpy(rows).to(device)
        for name, rows in five_way_partition(len(table.targets)).items()
    }
    return (
        torch.from_numpy(table.inputs).to(device),
        torch.from_numpy(table.targets).to(device),
        parts,
    )


@functools.lru_cache(maxsize=8)
def _pixels_on(dataset: str, data_dir: str | None, size: int, device: str) -> Tensor:
    return torch.from_numpy(load_images(dataset, data_dir, size).images).flatten(1).to(device)


@functools.lru_cache(maxsize=8)
def _labels_on(dataset: str, data_dir: str | None, size: int, device: str) -> Tensor:
    labels = load_images(dataset, data_dir, size).labels
    assert labels is not None
    return torch.from_numpy(labels).to(device)


@functools.lru_cache(maxsize=8)
def _pixel_variance(dataset: str, data_dir: str | None, size: int) -> float:
    images = load_images(dataset, data_dir, size)
    rows = torch.from_numpy(
        five_way_partition(len(images.images), images.num_test)["controller_train"]
    )[None]
    values = gather(_pixels_on(dataset, data_dir, size, "cpu"), rows)[0]
    return max(float(values.var(dim=0, correction=0).mean()), 1e-8)
