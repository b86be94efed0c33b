"""The threshold rules S1–S3 that the AutoLoss paper compares with (§5.1.1)."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autoloss_gym.controllers.policies.draws import one_hot
from autoloss_gym.core.task import Control, Task

from .kinds import Specification
from .policy import Candidates, Setting

_SIZE = 24  # thresholds in a grid


@dataclass
class ThresholdRule:
    """Penalises where (A − B) / B exceeds a threshold, and fits elsewhere.

    A and B are measured before every step:

    - s1: A is the fitting loss on the validation part, B on the training part.
    - s2: A is the penalty, B the fitting loss on the validation part.
    - s3: A is the gradient norm of the penalty, B that of the fitting loss.

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
        losses = infos["fresh_losses"]
        norms = infos["fresh_gradient_norms"]
        validation = infos["fresh_validation"][:, self.metric]
        compared = {
            "s1": (validation, losses[:, 0]),
            "s2": (losses[:, 1], validation),
            "s3": (norms[:, 1], norms[:, 0]),
        }
        a, b = compared[self.rule]
        # Not divided by B, which may be 0. A run that diverged fits: NaN exceeds nothing.
        penalise = a - b > self.threshold * b
        return one_hot(penalise.astype(np.int64), 2)


def build_threshold_rule(
    specification: Specification, setting: Setting
) -> ThresholdRule | Candidates:
    """The rule with the threshold that was written, or with each of a grid."""
    rule = specification.kind.name
    if specification.value is not None:
        return threshold_rule(rule, specification.value, setting.task)
    policies = [threshold_rule(rule, value, setting.task) for value in thresholds(rule)]
    return Candidates(policies, "tuned")


def threshold_rule(rule: str, threshold: float, task: Task) -> ThresholdRule:
    """The rule for a task of two pairs.

    Raises:
        ValueError: the task has another number of pairs, or does not validate the fitting loss.
    """
    if len(task.pairs) != 2:
        raise ValueError(
            f"policy {rule!r}: the rule fits or penalises, this task has {len(task.pairs)} pairs"
        )
    metrics = [metric.name for metric in task.validation_metrics]
    fit = task.pairs[0].loss
    if fit not in metrics:
        raise ValueError(
            f"policy {rule!r}: needs the loss {fit!r} among the validation metrics, which are "
            f"{', '.join(metrics)}"
        )
    return ThresholdRule(f"{rule}:{threshold:.3g}", rule, float(threshold), metrics.index(fit))


def thresholds(rule: str) -> np.ndarray:
    """The grid of a rule, equally spaced in the log.

    Returns:
        (24,): for S1 from 0.01 to 30; for S2 and S3, A / B is from 1/64 to 64.
    """
    if rule == "s1":
        return np.geomspace(0.01, 30, _SIZE)
    return np.geomspace(1 / 64, 64, _SIZE) - 1
