"""The threshold rules S1–S3 that the AutoLoss paper compares with (§5.1.1)."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autoloss_gym.core.task import Control, Task

from .schedules import one_hot

_SIZE = 24  # thresholds in a grid


@dataclass
class ThresholdRule:
    """Penalises where (A − B) / B exceeds a threshold, and fits elsewhere; A and B are measured
    before every step.

    s1: A is the fitting loss on the validation part, B on the training part. s2: A is the penalty,
        B the fitting loss on the
    validation part. s3: A is the gradient norm of the penalty, B that of the fitting loss.

    Args:
        rule: "s1", "s2" or "s3".
        threshold: on (A − B) / B.
        metric: index of the validation metric that is the fitting loss.
    """

    label: str
    rule: str
    threshold: float
    metric: int
    static: bool = False
    diagnostics: bool = True
    env_arguments: dict[str, Any] = field(default_factory=dict)

    def reset(self, seeds: np.ndarray) -> None:
        """Nothing to begin: the rule has no memory."""

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> Control:
        losses, norms = infos["fresh_losses"], infos["fresh_gradient_norms"]
        validation = infos["fresh_validation"][:, self.metric]
        a, b = {
            "s1": (validation, losses[:, 0]),
            "s2": (losses[:, 1], validation),
            "s3": (norms[:, 1], norms[:, 0]),
        }[self.rule]
        return one_hot((a - b > self.threshold * b).astype(np.int64), 2)


def threshold_rule(rule: str, threshold: float, task: Task) -> ThresholdRule:
    """The rule for a task of two pairs; ValueError for other tasks, and where the fitting loss is
    not validated.
    """
    metrics = [metric.name for metric in task.validation_metrics]
    fit = task.pairs[0].loss
    if len(task.pairs) != 2:
        raise ValueError(
            f"policy {rule!r}: the rule fits or penalises, this task has {len(task.pairs)} pairs"
        )
    if fit not in metrics:
        raise ValueError(
            f"policy {rule!r}: needs the loss {fit!r} among the validation metrics, which are {', '.join(metrics)}"
        )
    return ThresholdRule(f"{rule}:{threshold:.3g}", rule, float(threshold), metrics.index(fit))


def thresholds(rule: str) -> np.ndarray:
    """The grid of a rule: S1 from .01 to 30; for S2 and S3 ratios A / B from 1/64 to 64, each
    equally spaced in the log.
    """
    return np.geomspace(0.01, 30, _SIZE) if rule == "s1" else np.geomspace(1 / 64, 64, _SIZE) - 1
