"""Tables of a study of `AutoLoss/ImageGAN-v1`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agents.evaluation.statistics import bootstrap, paired_difference
from autoloss_gym.core.task import Metric
from studies.markdown import interval, sample_size, table

MARGIN = 0.02  # of the score at the end of 1:1, within which training counts as converged


@dataclass(frozen=True)
class Study:
    """Scores of policies on the same runs.

    Args:
        metrics: of the scores; the first is the figure of merit.
        steps: at which they were taken, (points,).
        curves: of each policy, (training seeds, points, runs, metrics).
        best_ratio: the ratio that was chosen on the validation split.
        real_data: the scores of real images, by metric.
    """

    metrics: tuple[Metric, ...]
    steps: np.ndarray
    curves: dict[str, np.ndarray]
    best_ratio: str
    real_data: dict[str, float]

    @property
    def references(self) -> tuple[str, ...]:
        """The policies with which all are compared."""
        return tuple(dict.fromkeys(("1:1", self.best_ratio)))

    def at_the_end(self, label: str, metric: int = 0) -> np.ndarray:
        """(training seeds, runs)."""
        return self.curves[label][:, -1, :, metric]

    def mean_curve(self, label: str) -> np.ndarray:
        """The figure of merit in the mean over training seeds and runs, (points,)."""
        return self.curves[label][..., 0].mean(axis=(0, 2))

    @property
    def level(self) -> float:
        """The mean score from which on a policy has come as far as 1:1 does."""
        sign = 1 if self.metrics[0].minimize else -1
        return float(self.mean_curve("1:1")[-1] * (1 + sign * MARGIN))


def steps_to_reach(
    steps: np.ndarray, curve: np.ndarray, level: float, minimize: bool
) -> int | None:
    """The first of `steps` (points,) at which a curve is at a level or better, or None."""
    good_enough = curve <= level if minimize else curve >= level
    reached = np.flatnonzero(good_enough)
    return int(steps[reached[0]]) if len(reached) else None


def ratios_table(study: Study) -> str:
    """Markdown: a row for every policy, and notes below."""
    first, *others = [metric.name.replace("_", " ") for metric in study.metrics]
    header = [
        "policy",
        "n",
        f"{first} at the end [95 %]",
        *(f"difference to {name}" for name in study.references),
        *others,
        "steps to the level of 1:1",
        "speed-up over 1:1",
    ]
    rows = [_ratio_row(study, label) for label in study.curves]
    real = ", ".join(f"{name.replace('_', ' ')} {v:.3f}" for name, v in study.real_data.items())
    notes = [
        f"Real data: {real}.",
        f"{study.best_ratio}: the best ratio on runs of the validation split. "
        "Differences are paired by run.",
        f"Level of 1:1: its mean score at the end with a margin of {MARGIN:.0%}, "
        f"{study.level:.3f}. "
        "Steps to it: the first scored step at which the mean score is as good.",
    ]
    return "\n".join([table(header, rows, num_left=2), "", *notes])


def _ratio_row(study: Study, label: str) -> list[str]:
    figures = study.at_the_end(label)
    row = [label, sample_size(figures), interval(bootstrap(figures))]
    for reference in study.references:
        if reference == label:
            row.append("—")
        else:
            difference = paired_difference(figures, study.at_the_end(reference))
            row.append(interval(difference, "+.3f"))
    for metric in range(1, len(study.metrics)):
        row.append(interval(bootstrap(study.at_the_end(label, metric))))
    return [*row, *_speed(study, label)]


def _speed(study: Study, label: str) -> tuple[str, str]:
    """The steps that a policy needs to the level of 1:1, and how much faster it is there."""
    minimize = study.metrics[0].minimize
    steps = steps_to_reach(study.steps, study.mean_curve(label), study.level, minimize)
    reference = steps_to_reach(study.steps, study.mean_curve("1:1"), study.level, minimize)
    if steps is None or reference is None:
        return "not reached", "—"
    return f"{steps:,}", f"{reference / steps:.2f}"


def transfer_table(
    names: Sequence[str],
    figures: Mapping[str, np.ndarray],
    controller: str,
    minimize: bool,
    metric: str,
) -> str:
    """Markdown: a row for every architecture, and comparisons of the controller below.

    Args:
        names: of the architectures.
        figures: scores at the end of each policy, (training seeds, architectures, runs).
        controller: the policy that is compared with the others.
        minimize: whether lower scores are better.
        metric: the name of the score.
    """
    means = {label: values.mean(axis=(0, 2)) for label, values in figures.items()}
    rows = []
    for index, name in enumerate(names):
        rows.append([name, *(f"{mean[index]:.3f}" for mean in means.values())])
    rows.append(["mean", *(f"{mean.mean():.3f}" for mean in means.values())])

    size = sample_size(figures[controller][:, 0])
    notes = [f"{metric.replace('_', ' ')} at the end, mean of {size} runs."]
    for other in figures:
        if other != controller:
            notes.append(_transfer_summary(figures, controller, other, minimize))
    return "\n".join([table(["architecture", *figures], rows), "", *notes])


def _transfer_summary(
    figures: Mapping[str, np.ndarray], controller: str, other: str, minimize: bool
) -> str:
    """The comparison of the controller with one policy.

    The interval is over architectures, or over runs if there is one architecture.
    """
    ours = figures[controller]
    theirs = figures[other]
    count = ours.shape[1]
    our_means = ours.mean(axis=(0, 2))
    their_means = theirs.mean(axis=(0, 2))
    better = our_means < their_means if minimize else our_means > their_means
    if count == 1:
        over = "runs"
        difference = paired_difference(ours[:, 0], theirs[:, 0])
    else:
        over = "architectures"
        difference = paired_difference(ours.mean(axis=2), theirs.mean(axis=2))
    return (
        f"{controller} is better than {other} on {better.sum()} of {count}; "
        f"mean difference over {over} {interval(difference, '+.3f')}."
    )
