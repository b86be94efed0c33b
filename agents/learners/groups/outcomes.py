"""What a training run came to, as one number that is to be small."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.core.task import Metric, Task

# Bounds of what is given to a logarithm; the upper one where a metric declares no worst value.
_TINY = 1e-8
_HUGE = 1e8


def final_figures(infos: Mapping[str, Any]) -> Mapping[str, Any]:
    """The final figures of a step with which runs ended."""
    return infos.get("final_info", infos)


def outcomes_of(
    task: Task, final: Mapping[str, Tensor], outcome: Literal["validation", "truth"]
) -> Float[Tensor, " num_envs"]:
    """Outcomes of runs that have ended; small is good.

    Args:
        task: what they trained.
        final: their final figures.
        outcome: "validation" for the log of the best validation, "truth" for the score at it. A run
            that diverged has the worst value that the metric declares.
    """
    if outcome == "truth":
        metric = task.score_metrics[0]
        values = final["best_score"].clamp(-_HUGE, _HUGE)
        return values if metric.minimize else -values
    metric = task.validation_metrics[0]
    worst = _worst(metric)
    shown = torch.where(final["diverged"], worst, final["best_validation"])
    bounded = (
        shown.clamp(_TINY, worst) if metric.minimize else shown.clamp(max(worst, _TINY), _HUGE)
    )
    logs = torch.log(bounded)
    return logs if metric.minimize else -logs


def _worst(metric: Metric) -> float:
    if math.isfinite(metric.worst):
        return metric.worst
    return _HUGE if metric.minimize else _TINY
