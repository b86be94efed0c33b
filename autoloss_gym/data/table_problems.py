"""The draws of `table_families`: which rows, columns and classes a run gets, and what noise."""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.task import Split
from autoloss_gym.data.partition import ROLES
from autoloss_gym.data.resampled_tables import moments
from autoloss_gym.data.table_families import Stack, TableFamily, ends, stacked
from autoloss_gym.data.tables.columns import Table
from autoloss_gym.losses.fitting import mean_squared_error

LARGEST = 5.0  # columns are cut off at so many deviations
KINDS = ("pair", "rest", "groups")
_LAST = torch.iinfo(torch.int64).max
_Keys = Int64[Tensor, " num_envs"]


def classification_problems(
    family: TableFamily, found: tuple[Table, ...], keys: _Keys, split: Split
) -> dict[str, Any]:
    """A problem of two classes for each run.

    Every table is as likely as any other. Of its classes, a run has to tell one from another
    ("pair"), one from all others ("rest"), or one half from the other ("groups").

    Args:
        family: ranges of the draws.
        found: the tables.
        keys: of the problems.
        split: which rows play which role, see `partition.ROLES`.

    Returns:
        "training", "validation" and "test", each {"inputs": (num_envs, rows, dimension), float32,
        "targets": (num_envs, rows), 0 or 1, int64}; "reference" (num_envs,), the cross-entropy on
        the test part of the share of class 1 among the training labels, one more of each class
        added; and "drawn", what was drawn for each run: "table", "kind", "num_columns",
        "num_samples" and "label_noise", (num_envs,).
    """
    stack = stacked(found, str(keys.device), True)
    table = _table(stack, keys)
    kind = random.integers(random.fold_in(keys, "kind"), (), len(KINDS))
    sides = _sides(stack, table, kind, random.fold_in(keys, "classes"))
    flips = _between(random.fold_in(keys, "label noise"), family.label_noise)
    rows, sizes = _rows(family, stack, table, sides, keys, split)
    inputs, num_columns = _inputs(family, stack, stack.inputs[table], rows, sizes, keys)

    problem: dict[str, Any] = {}
    for part, index in rows.items():
        targets = sides.gather(1, stack.classes[index])
        if part != "test":
            draws = random.uniform(random.fold_in(keys, f"{part} flips"), index.shape[1:])
            # Copies of a row have the label of the row.
            flipped = draws.gather(1, _slots(index.shape[1], sizes[part])) < flips[:, None]
            targets = torch.where(flipped, 1 - targets, targets)
        problem[part] = {"inputs": inputs[part], "targets": targets}
    problem["reference"] = _entropy_of_share(problem, sizes["training"])
    problem["drawn"] = {
        "table": table,
        "kind": kind,
        "num_columns": num_columns,
        "num_samples": sizes["training"],
        "label_noise": flips,
    }
    return problem


def regression_problems(
    family: TableFamily, found: tuple[Table, ...], keys: _Keys, split: Split
) -> dict[str, Any]:
    """A regression for each run: one column of a table from others.

    Every table is as likely as any other, and so is each of its columns that can be the target: of
    more than 20 distinct values, none of which fills half of the rows.

    Args:
        family, found, keys, split: see `classification_problems`.

    Returns:
        As `classification_problems`, with "targets" float32, standardised on the training rows and
        cut off as inputs are before noise is added; "reference", the mean squared error on the test
        part of the mean of the training targets; and in "drawn" the "target", a column of
        `stacked`, and "target_noise", instead of the kind and the label noise.
    """
    stack = stacked(found, str(keys.device), False)
    table = _table(stack, keys)
    target = _ordered(random.fold_in(keys, "target"), stack.targets[table])[:, :1]
    deviation = _between(random.fold_in(keys, "target noise"), family.target_noise)
    everything = torch.zeros_like(target)  # of one class
    rows, sizes = _rows(family, stack, table, everything, keys, split)
    places = torch.arange(stack.inputs.shape[1], dtype=torch.int64, device=keys.device)
    allowed = stack.inputs[table] & (places != target)
    inputs, num_columns = _inputs(family, stack, allowed, rows, sizes, keys)

    values = {part: stack.columns[index, target] for part, index in rows.items()}
    mean, scale = moments(values["training"])
    problem: dict[str, Any] = {}
    for part, each in values.items():
        targets = ((each - mean) / scale).clamp(-LARGEST, LARGEST).to(torch.float32)
        if part != "test":
            noise = random.normal(random.fold_in(keys, f"{part} noise"), each.shape[1:])
            # Copies of a row have the target of the row.
            noise = noise.gather(1, _slots(each.shape[1], sizes[part]))
            targets = targets + noise * deviation[:, None]
        problem[part] = {"inputs": inputs[part], "targets": targets}
    guess = problem["training"]["targets"].mean(dim=1, keepdim=True)
    test = problem["test"]["targets"]
    problem["reference"] = mean_squared_error(guess.expand_as(test), test)
    problem["drawn"] = {
        "table": table,
        "target": target[:, 0],
        "num_columns": num_columns,
        "num_samples": sizes["training"],
        "target_noise": deviation,
    }
    return problem


def _table(stack: Stack, keys: _Keys) -> Int64[Tensor, " num_envs"]:
    return random.integers(random.fold_in(keys, "table"), (), len(stack.num_classes))


def _sides(
    stack: Stack, table: Tensor, kind: Tensor, keys: _Keys
) -> Int64[Tensor, "num_envs classes"]:
    """1 or 0 for the classes of a table that a problem has on either side, −1 for others."""
    count = stack.num_classes[table]
    places = torch.arange(stack.most_classes, dtype=torch.int64, device=keys.device)
    order = _ordered(keys, places < count[:, None])
    rank = torch.argsort(order, dim=1, stable=True)
    first = torch.where(kind == KINDS.index("groups"), count // 2, 1)
    both = torch.where(kind == KINDS.index("pair"), 2, count)
    second = torch.where(rank < both[:, None], 0, -1)
    return torch.where(rank < first[:, None], 1, second)


def _rows(
    family: TableFamily,
    stack: Stack,
    table: Tensor,
    sides: Tensor,
    keys: _Keys,
    split: Split,
) -> tuple[dict[str, Int64[Tensor, "num_envs rows"]], dict[str, Int64[Tensor, " num_envs"]]]:
    """Rows of `stack` for each part, and how many different ones these are.

    All runs have equally many: where a run has fewer, its rows follow each other once more, from
    the first, as often as needed.
    """
    wanted = {
        "training": _whole_between(random.fold_in(keys, "number of samples"), family.num_samples),
        "validation": torch.full_like(keys, family.num_validation),
        "test": torch.full_like(keys, family.num_test),
    }
    most = {
        "training": ends(family.num_samples)[1],
        "validation": family.num_validation,
        "test": family.num_test,
    }
    rows, sizes = {}, {}
    for part, role in zip(wanted, ROLES[split], strict=True):
        candidates = stack.rows[role][table]
        places = torch.arange(candidates.shape[1], dtype=torch.int64, device=keys.device)
        allowed = places < stack.num_rows[role][table][:, None]
        allowed &= sides.gather(1, stack.classes[candidates]) >= 0
        order = _ordered(random.fold_in(keys, f"{part} rows"), allowed)
        sizes[part] = torch.minimum(wanted[part], allowed.sum(dim=1))
        chosen = order.gather(1, _slots(most[part], sizes[part]))
        rows[part] = candidates.gather(1, chosen)
    return rows, sizes


def _inputs(
    family: TableFamily,
    stack: Stack,
    allowed: Bool[Tensor, "num_envs columns"],
    rows: dict[str, Tensor],
    sizes: dict[str, Tensor],
    keys: _Keys,
) -> tuple[dict[str, Float[Tensor, "num_envs rows dimension"]], Int64[Tensor, " num_envs"]]:
    """Inputs of every part, float32, and how many of them are columns of the table.

    The columns are standardised on the training rows and cut off at `LARGEST` deviations: of few
    rows, a column may be constant but for one. The other inputs are standard normal.
    """
    low, high = ends(family.num_columns)
    most = allowed.sum(dim=1).clamp(max=min(high, family.dimension))
    least = most.clamp(max=low)
    drawn = random.integers(random.fold_in(keys, "number of columns"), (), 2**31)
    count = least + ((drawn * (most - least + 1)) >> 31)

    order = _ordered(random.fold_in(keys, "columns"), allowed)
    columns = order[:, : min(high, family.dimension)]
    width = columns.shape[1]
    real = torch.arange(width, dtype=torch.int64, device=keys.device) < count[:, None]
    values = {
        part: stack.columns[index[:, :, None], columns[:, None]] for part, index in rows.items()
    }
    mean, deviation = moments(values["training"])
    inputs = {}
    for part, each in values.items():
        scaled = ((each - mean) / deviation).clamp(-LARGEST, LARGEST).to(torch.float32)
        shape = (each.shape[1], family.dimension)
        noise = random.normal(random.fold_in(keys, f"{part} columns"), shape)
        # Copies of a row are copies in all their inputs.
        slots = _slots(shape[0], sizes[part])
        noise = noise.gather(1, slots[:, :, None].expand(-1, -1, family.dimension))
        known = torch.where(real[:, None], scaled, noise[:, :, :width])
        inputs[part] = torch.cat([known, noise[:, :, width:]], dim=2)
    return inputs, count


def _entropy_of_share(
    problem: dict[str, Any], size: Int64[Tensor, " num_envs"]
) -> Float[Tensor, " num_envs"]:
    """Cross-entropy on the test part of the training labels' share of class 1."""
    labels = problem["training"]["targets"]
    different = torch.arange(labels.shape[1], dtype=torch.int64, device=labels.device)
    ones = (labels * (different < size[:, None])).sum(dim=1)
    share = (ones + 1).to(torch.float32) / (size + 2)
    test = problem["test"]["targets"].to(torch.float32).mean(dim=1)
    return -(test * torch.log(share) + (1 - test) * torch.log(1 - share))


def _slots(count: int, size: Int64[Tensor, " num_envs"]) -> Int64[Tensor, "num_envs count"]:
    """0, 1, …, size − 1, 0, 1, … for each run."""
    return torch.arange(count, dtype=torch.int64, device=size.device) % size[:, None]


def _ordered(
    keys: _Keys, allowed: Bool[Tensor, "num_envs count"]
) -> Int64[Tensor, "num_envs count"]:
    """A random order of the places that are allowed; the others come last."""
    draws = random.bits(keys, allowed.shape[1])
    return torch.argsort(torch.where(allowed, draws, _LAST), dim=1, stable=True)


def _between(keys: _Keys, limits: Any) -> Float[Tensor, " num_envs"]:
    """Uniform between the ends of a range; always that number where it is one."""
    low, high = ends(limits)
    return random.uniform(keys) * (high - low) + low


def _whole_between(keys: _Keys, limits: Any) -> Int64[Tensor, " num_envs"]:
    """Whole numbers from one end of a range to the other, each equally likely."""
    low, high = ends(limits)
    return random.integers(keys, (), high - low + 1) + low
