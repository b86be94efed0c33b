"""A user's validation and test: figures with names, directions and what a failed run is worth."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from autoloss_gym.core.task import Metric
from autoloss_gym.tools.names import shown

Figures = tuple[tuple[Metric, Callable[[Any, Any], Any]], ...]


def named(role: str, given: Any) -> Figures:
    """Metrics and their functions.

    Args:
        role: "validation" or "test".
        given: a function, or functions by name or `Metric`.

    Raises:
        ValueError: it is neither, or two have one name.
    """
    if callable(given):
        own = getattr(given, "__name__", role)
        return ((Metric(own if own.isidentifier() else role), given),)
    expected = "expected a function (model, part) of one run, or functions by name or Metric"
    if not isinstance(given, Mapping) or not given:
        raise ValueError(f"{role}={shown(given)}: {expected}")
    figures = []
    for key, function in given.items():
        if not isinstance(key, str | Metric) or not callable(function):
            raise ValueError(f"{role}={shown(given)}: {expected}")
        figures.append((key if isinstance(key, Metric) else Metric(key), function))
    names = [metric.name for metric, _ in figures]
    if len(set(names)) < len(names):
        raise ValueError(f"{role}: names {', '.join(names)}; expected each once")
    return tuple(figures)


def with_worst(figures: Figures, untrained: Mapping[str, float]) -> Figures:
    """The same figures with a finite worst value each.

    Where the user declares none, it is ten times the figure of a model that is not trained, rounded
    up to one digit, so that it does not depend on the last bits; for one that is maximised and not
    negative it is 0.

    Args:
        figures: of the test.
        untrained: figures of a model that is not trained, by name of the metric.
    """
    complete = []
    for metric, function in figures:
        if not math.isfinite(metric.worst):
            worst = _worst(metric, untrained[metric.name])
            metric = dataclasses.replace(metric, worst=worst)
        complete.append((metric, function))
    return tuple(complete)


def _worst(metric: Metric, untrained: float) -> float:
    if not metric.minimize and untrained >= 0:
        return 0.0
    if not math.isfinite(untrained) or untrained == 0:
        raise ValueError(
            f"test {metric.name!r} is {untrained} before any training; expected worst= of a failed "
            f"run: test={{autoloss_gym.Metric({metric.name!r}, worst=…): …}}"
        )
    size = 10 * abs(untrained)
    digit = 10.0 ** math.floor(math.log10(size))
    worst = math.ceil(size / digit) * digit
    return worst if metric.minimize else -worst
