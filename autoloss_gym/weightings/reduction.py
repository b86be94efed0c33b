"""Averages over the processes of a distributed training, so that all of them learn the same."""

import zlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from autoloss_gym.tools.names import shown
from autoloss_gym.weightings.boundary.losses import Names
from autoloss_gym.weightings.measurements import Measurements

Average = Callable[[Tensor], Tensor]


def check_reduce(reduce: Any) -> None:
    """ValueError unless `reduce` is None, "mean", a process group or a function."""
    is_mean = isinstance(reduce, str) and reduce == "mean"
    if reduce is not None and not is_mean and not _is_group(reduce) and not callable(reduce):
        raise ValueError(
            f"reduce={shown(reduce)}: expected None, 'mean', a process group of torch.distributed, "
            "or a function that averages a tensor over processes"
        )


def averaged(measured: Measurements, reduce: Any, names: Names | None, first: bool) -> Measurements:
    """The means over the processes that measured a loss anew; NaN where one of them had NaN.

    Without a process group that is initialised there is one process, and nothing to average.

    Args:
        measured: what this process measured.
        reduce: see `WeightingRule`.
        names: of the losses, where they are a dict.
        first: whether it is the first call, at which the processes compare their losses.

    Raises:
        ValueError: another process has other losses, or `reduce` gave something else than a mean.
    """
    average = _average(reduce, measured.losses, names, first)
    if average is None:
        return measured
    refreshed = measured.refreshed
    parts = [
        torch.where(refreshed, measured.losses, 0.0),
        torch.where(refreshed, measured.gradient_norms, 0.0),
        refreshed.to(measured.losses.dtype),
    ]
    stacked = torch.stack(parts)
    result = average(stacked)
    if not isinstance(result, Tensor) or result.shape != stacked.shape:
        raise ValueError(
            f"reduce(values)={shown(result)}: expected a tensor {tuple(stacked.shape)}, the mean "
            "of the values of all processes"
        )
    losses, norms, share = result.to(stacked).unbind()
    anywhere = share > 0
    share = torch.where(anywhere, share, 1.0)  # a sum over processes may stand for the mean
    return Measurements(losses=losses / share, refreshed=anywhere, gradient_norms=norms / share)


def _average(reduce: Any, losses: Tensor, names: Names | None, first: bool) -> Average | None:
    """What sums or averages over processes; None where there is but one."""
    distributed = torch.distributed
    if not _is_group(reduce) and callable(reduce):
        return reduce
    if not distributed.is_available() or not distributed.is_initialized():
        return None
    group = reduce if _is_group(reduce) else None
    if first:
        _compare(losses, names, group)

    def total(values: Tensor) -> Tensor:
        distributed.all_reduce(values, group=group)
        return values

    return total


def _compare(losses: Tensor, names: Names | None, group: Any) -> None:
    """ValueError, in all processes, where their losses differ: sums would mix them up, or hang."""
    said = [*losses.shape, zlib.crc32(repr(names).encode())]
    own = torch.tensor(said, dtype=torch.int64, device=losses.device)
    extremes = torch.stack([own, -own])
    torch.distributed.all_reduce(extremes, torch.distributed.ReduceOp.MAX, group=group)
    if not torch.equal(extremes[0], -extremes[1]):
        mine = f"{tuple(losses.shape)}" if names is None else shown(list(names))
        raise ValueError(
            f"losses {mine} in this process: expected the same number of losses in all processes, "
            "under the same names in the same order, because of reduce="
        )


def _is_group(reduce: Any) -> bool:
    distributed = torch.distributed
    return distributed.is_available() and isinstance(reduce, distributed.ProcessGroup)
