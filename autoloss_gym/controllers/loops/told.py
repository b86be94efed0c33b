"""What a loop tells of an update or a validation, brought to plain numbers on the host."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.signals.description import RunDescription
from autoloss_gym.tools.names import shown


def loss_names(losses: Any) -> tuple[str, ...]:
    """The names of the losses; ValueError where they are not text, or two are the same."""
    names = () if isinstance(losses, str) else tuple(losses)
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f'losses={shown(losses)}: expected their names, such as ("generator", "discriminator")'
        )
    if len(set(names)) < len(names):
        raise ValueError(f"losses={list(names)}: expected every name once")
    return names


def by_loss(description: RunDescription, name: str, values: Any) -> list[float | None]:
    """A number for each loss, None where there is none; the host waits for those of a device.

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
    for each in values:
        if each not in names:
            raise ValueError(f"{name} of {shown(each)}: expected {', '.join(names)}")
    return [_number(name, values[each]) if each in values else None for each in names]


def metrics_of(description: RunDescription, values: Any) -> Float[Tensor, "1 metrics"]:
    """The validation metrics, given one by one or in one tensor, list or array."""
    if isinstance(values, tuple | list) and len(values) == 1:
        values = values[0]
    if isinstance(values, Tensor):
        found = values.detach().to("cpu", torch.float32).reshape(1, -1)
    else:
        several = hasattr(values, "__len__") and not isinstance(values, str)
        numbers = [_number("metrics", each) for each in (values if several else [values])]
        found = torch.tensor([numbers], dtype=torch.float32, device="cpu")
    metrics = description.validation_metrics
    if found.shape[1] != len(metrics):
        names = ", ".join(metric.name for metric in metrics)
        raise ValueError(f"{found.shape[1]} metrics: expected {len(metrics)} ({names})")
    return found


def _number(name: str, value: Any) -> float:
    try:
        return float(value.item() if isinstance(value, Tensor) else value)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name}={shown(value)}: expected numbers") from None
