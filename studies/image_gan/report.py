"""Tables and the picture of a study of `AutoLoss/ImageGAN-v0`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.evaluation.statistics import Estimate, bootstrap, paired_difference
from autoloss_gym.core.task import Metric
from autoloss_gym.tools.files import replacing

MARGIN = 0.02  # of the score at the end of 1:1, within which training counts as converged
_COLORS = ("black", "#c0392b", "#2471a3", "#1e8449", "#b9770e")


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
    """The first of `steps` (points,) at which a curve is at a level or better; None where it never
    is.
    """
    reached = np.flatnonzero(curve <= level if minimize else curve >= level)
    return int(steps[reached[0]]) if len(reached) else None


def ratios_table(study: Study) -> str:
    """Markdown: a row for every policy, and below it what real data score and what the columns
    mean.
    """
    first, *others = [metric.name.replace("_", " ") for metric in study.metrics]
    header = ["policy", "n", f"{first} at the end [95 %]", *(f"difference to {name}" for name in study.references),
              *others, "steps to the level of 1:1", "speed-up over 1:1"]  # fmt: skip
    lines = [
        header,
        ["---"] * 2 + ["---:"] * (len(header) - 2),
        *(_ratio_row(study, label) for label in study.curves),
    ]
    real = ", ".join(
        f"{name.replace('_', ' ')} {value:.3f}" for name, value in study.real_data.items()
    )
    return "\n".join([
        *(f"| {' | '.join(line)} |" for line in lines),
        "",
        f"Real data: {real}.",
        f"{study.best_ratio}: the best ratio on runs of the validation split. Differences are paired by run.",
        f"Level of 1:1: its mean score at the end with a margin of {MARGIN:.0%}, {study.level:.3f}. "
        "Steps to it: the first scored step at which the mean score is as good.",
    ])  # fmt: skip


def _ratio_row(study: Study, label: str) -> list[str]:
    figures = study.at_the_end(label)
    differences = [
        _difference(figures, study.at_the_end(name), label == name) for name in study.references
    ]
    others = [
        _interval(bootstrap(study.at_the_end(label, index)))
        for index in range(1, len(study.metrics))
    ]
    steps, reference = (
        steps_to_reach(study.steps, study.mean_curve(name), study.level, study.metrics[0].minimize)
        for name in (label, "1:1")
    )
    speed = (
        ["not reached", "—"]
        if steps is None or reference is None
        else [f"{steps:,}", f"{reference / steps:.2f}"]
    )
    return [label, _size(figures), _interval(bootstrap(figures)), *differences, *others, *speed]


def transfer_table(
    names: Sequence[str],
    figures: Mapping[str, np.ndarray],
    controller: str,
    minimize: bool,
    metric: str,
) -> str:
    """Markdown: a row for every architecture, and below it how often, and by how much, the
    controller is better.

    Args:
        names: of the architectures.
        figures: scores at the end of each policy, (training seeds, architectures, runs).
        controller: which of them is compared with the others.
        minimize: whether lower scores are better.
        metric: what the score is called.
    """
    means = {label: values.mean(axis=(0, 2)) for label, values in figures.items()}
    lines = [["architecture", *figures], ["---", *["---:"] * len(figures)]]
    lines += [
        [name, *(f"{mean[index]:.3f}" for mean in means.values())]
        for index, name in enumerate(names)
    ]
    lines.append(["mean", *(f"{mean.mean():.3f}" for mean in means.values())])
    others = [label for label in figures if label != controller]
    summary = [_transfer_summary(figures, means, controller, other, minimize) for other in others]
    note = (
        f"{metric.replace('_', ' ')} at the end, mean of {_size(figures[controller][:, 0])} runs."
    )
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", note, *summary])


def _transfer_summary(
    figures: Mapping[str, np.ndarray],
    means: Mapping[str, np.ndarray],
    controller: str,
    other: str,
    minimize: bool,
) -> str:
    """How the controller compares with one policy; with a single architecture the interval is over
    its runs.
    """
    better = means[controller] < means[other] if minimize else means[controller] > means[other]
    pair = [
        figures[label][:, 0] if len(better) == 1 else figures[label].mean(axis=2)
        for label in (controller, other)
    ]
    difference = _interval(paired_difference(pair[0], pair[1]), "+.3f")
    over = "runs" if len(better) == 1 else "architectures"
    return f"{controller} is better than {other} on {better.sum()} of {len(better)}; mean difference over {over} {difference}."


def _size(figures: np.ndarray) -> str:
    trainings, runs = figures.shape
    return f"{trainings}×{runs}" if trainings > 1 else str(runs)


def _difference(figures: np.ndarray, reference: np.ndarray, same: bool) -> str:
    return "—" if same else _interval(paired_difference(figures, reference), "+.3f")


def _interval(estimate: Estimate, form: str = ".3f") -> str:
    if estimate.low == estimate.high:  # a single figure has no interval
        return f"{estimate.value:{form}}"
    return f"{estimate.value:{form}} [{estimate.low:{form}}, {estimate.high:{form}}]"


def draw(study: Study, highlighted: Sequence[str], title: str, path: Path) -> None:
    """Score against steps: means, with 95 % bands of the policies that are highlighted; the others
    are grey.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 (slow to import)
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(7, 4.4), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes, shown = figure.subplots(), [label for label in highlighted if label in study.curves]
    others = [label for label in study.curves if label not in shown]
    for index, label in enumerate(others):
        axes.plot(
            study.steps,
            study.mean_curve(label),
            color="#c3c9cf",
            linewidth=1,
            label=None if index else "other schedules",
        )
    for label, color in zip(dict.fromkeys(shown), _COLORS, strict=False):
        _draw_band(axes, study, label, color)
    real = study.real_data.get(study.metrics[0].name)
    if real is not None:
        axes.axhline(real, color="#8a949e", linewidth=1, linestyle=(0, (4, 3)), label="real data")
    axes.set(xlabel="step", ylabel=study.metrics[0].name.replace("_", " "), xlim=(0, None))
    axes.set_title(title, loc="left", fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def _draw_band(axes: Any, study: Study, label: str, color: str) -> None:
    estimates = [
        bootstrap(study.curves[label][:, point, :, 0]) for point in range(len(study.steps))
    ]
    low, high = ([getattr(each, end) for each in estimates] for end in ("low", "high"))
    axes.fill_between(study.steps, low, high, color=color, alpha=0.15, linewidth=0)
    axes.plot(study.steps, study.mean_curve(label), color=color, linewidth=1.8, label=label)
