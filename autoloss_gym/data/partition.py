"""One fixed five-way partition of a data set, and which part plays which role in a run.

The partition is that of the AutoLoss paper: a controller is learned on its own training and
validation part, and judged on tasks that use the other three.
"""

import functools

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.task import Split

_SHARES = {
    "controller_train": 0.25,
    "controller_validation": 0.15,
    "train": 0.25,
    "validation": 0.15,
    "test": 0.2,
}
PARTS = tuple(_SHARES)
# Which parts a run trains on, is validated on and is scored on. The test part serves the test split
# alone.
ROLES: dict[Split, tuple[str, str, str]] = {
    "train": ("controller_train", "controller_validation", "validation"),
    "validation": ("train", "validation", "controller_validation"),
    "test": ("train", "validation", "test"),
}


def five_way_partition(num_rows: int, num_test: int = 0) -> dict[str, np.ndarray]:
    """Row indices of the five parts, disjoint, fixed for a number of rows.

    Where the authors of the data keep the last `num_test` rows apart for testing, these are the
    test part, and the other four share the rest in the same proportions.
    """
    shares = dict(_SHARES)
    total = 1.0
    if num_test:
        total -= shares.pop("test")
    num_others = num_rows - num_test
    key = torch.tensor([num_others], dtype=torch.int64, device="cpu")
    order = random.permutation(key, num_others)[0].numpy()
    ends = np.round(np.cumsum(list(shares.values())) * num_others / total).astype(int)
    parts = dict(zip(shares, np.split(order, ends[:-1]), strict=True))
    if num_test:
        parts["test"] = np.arange(num_others, num_rows)
    return parts


@functools.lru_cache(maxsize=16)
def partition_on(num_rows: int, num_test: int, device: str) -> dict[str, Int64[Tensor, " rows"]]:
    """`five_way_partition` on a device, shared by all runs."""
    parts = five_way_partition(num_rows, num_test)
    return {name: torch.from_numpy(rows).to(device) for name, rows in parts.items()}


def resampled_rows(
    parts: dict[str, Int64[Tensor, " rows"]],
    keys: Int64[Tensor, " num_envs"],
    split: Split,
    num_samples: int = 0,
) -> dict[str, Int64[Tensor, "num_envs _"]]:
    """Rows that each run trains on, is validated on and is scored on.

    Args:
        parts: the partition, on the device of the keys.
        keys: of the problems.
        split: which parts of the partition play these roles.
        num_samples: rows that a run trains on, drawn from its training part with its key; 0 for
            four fifths of it. The other parts are fixed.

    Returns:
        Indices by role: "training", "validation" and "test".
    """
    training, validation, test = (parts[role] for role in ROLES[split])
    order = random.permutation(keys, len(training))
    num_drawn = num_samples or len(training) * 4 // 5
    return {
        "training": training[order[:, :num_drawn]],
        "validation": validation.expand(len(keys), -1),
        "test": test.expand(len(keys), -1),
    }
