"""Averages over the processes of a distributed training, so that all of them learn the same."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from autoloss_gym.tools.names import shown
from autoloss_gym.weightings.measurements import Measurements

Average = Callable[[Tensor], Tensor]


def check_reduce(reduce: Any) -> None:
    """ValueError unless `reduce` is None, "mean", a process group or a function."""
    if reduce is None or reduce == "mean" or callable(reduce) or _is_group(reduce):
        return
    raise ValueError(
        f"reduce={shown(reduce)}: expected None, 'mean', a process group of torch.distributed, or "
        "a function that averages a tensor over processes"
    )


def averaged(measured: Measurements, reduce: Any) -> Measurements:
    """The means over the processes that measured a loss anew; NaN where one of them had NaN.

    Without a process group that is initialised there is one process, which "mean" leaves alone.
    """
    if callable(reduce) and not _is_group(reduce):
        average = reduce
    else:
        found = _group(reduce)
        if found is None:
            return measured
        average = found
    refreshed = measured.refreshed
    dtype = measured.losses.dtype
    parts = [
        torch.where(refreshed, measured.losses, 0.0),
        torch.where(refreshed, measured.gradient_norms, 0.0),
        refreshed.to(dtype),
    ]
    losses, norms, share = average(torch.stack(parts)).unbind()
    anywhere = share > 0
    share = torch.where(anywhere, share, 1.0)
    return Measurements(losses=losses / share, refreshed=anywhere, gradient_norms=norms / share)


def _group(reduce: Any) -> Average | None:
    """A sum over the processes of the group, whose number cancels; None where there is but one."""
    distributed = torch.distributed
    if not distributed.is_available() or not distributed.is_initialized():
        return None
    group = None if reduce == "mean" else reduce

    def total(values: Tensor) -> Tensor:
        distributed.all_reduce(values, group=group)
        return values

    return total


def _is_group(reduce: Any) -> bool:
    distributed = torch.distributed
    return distributed.is_available() and isinstance(reduce, distributed.ProcessGroup)
