"""What a loop tells of an update or a validation, brought to rows of numbers on the host."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.core.task import Evaluation
from autoloss_gym.signals.description import RunDescription
from autoloss_gym.tools.names import shown


def by_loss(
    description: RunDescription, name: str, values: Any
) -> tuple[Float[Tensor, "1 pairs"], Bool[Tensor, "1 pairs"]]:
    """Values of the losses, 0 where there is none, and which of them were told.

    Args:
        description: names the losses.
        name: of the values, for the error.
        values: by the names of the losses, or all of them in order.
    """
    names = description.pairs
    if not isinstance(values, Mapping):
        if len(values) != len(names):
            raise ValueError(f"{len(values)} {name}: expected {len(names)} ({', '.join(names)})")
        values = dict(zip(names, values, strict=True))
    unknown = [each for each in values if each not in names]
    if unknown:
        raise ValueError(f"{name} of {shown(unknown[0])}: expected {', '.join(names)}")
    told = torch.tensor([[each in values for each in names]], dtype=torch.bool, device="cpu")
    return _row(name, [values.get(each, 0.0) for each in names]), told


def metrics_of(description: RunDescription, values: Any) -> Float[Tensor, "1 metrics"]:
    """The validation metrics, given one by one or in one tensor, list or array."""
    if isinstance(values, tuple | list) and len(values) == 1:
        values = values[0]
    found = _row("metrics", [values] if isinstance(values, float | int) else values)
    metrics = description.validation_metrics
    if found.shape[1] != len(metrics):
        names = ", ".join(metric.name for metric in metrics)
        raise ValueError(f"{found.shape[1]} metrics: expected {len(metrics)} ({names})")
    return found


def _row(name: str, values: Any) -> Float[Tensor, "1 columns"]:
    """One row of numbers, float32, on the CPU; the host waits for those of another device.

    Args:
        name: of the values, for the error.
        values: a tensor, an array, or numbers and tensors of one element.
    """
    if isinstance(values, Tensor):
        return values.detach().to("cpu", torch.float32).reshape(1, -1)
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name}={shown(values)}: expected numbers") from None
    return torch.tensor([numbers], dtype=torch.float32, device="cpu")


def evaluation_of(
    losses: Float[Tensor, "1 pairs"],
    norms: Float[Tensor, "1 pairs"],
    told: Bool[Tensor, "1 pairs"],
) -> Evaluation:
    """What an update measured; what is not finite counts as not measured."""
    finite = torch.isfinite(losses) & torch.isfinite(norms)
    return Evaluation(losses=losses, gradient_norms=norms, measured=told & finite)
