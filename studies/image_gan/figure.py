"""The picture of a study of `AutoLoss/ImageGAN-v1`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.evaluation.statistics import bootstrap
from autoloss_gym.tools.files import replacing
from studies.image_gan.report import Study

_COLORS = ("black", "#c0392b", "#2471a3", "#1e8449", "#b9770e")


def draw(study: Study, highlighted: Sequence[str], title: str, path: Path) -> None:
    """Draw scores against steps: mean and 95 % band of highlighted policies, the others in grey."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 (slow to import)
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(7, 4.4), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    shown = [label for label in dict.fromkeys(highlighted) if label in study.curves]
    _draw_others(axes, study, [label for label in study.curves if label not in shown])
    for label, color in zip(shown, _COLORS, strict=False):
        _draw_band(axes, study, label, color)

    metric = study.metrics[0].name
    if metric in study.real_data:
        real = study.real_data[metric]
        axes.axhline(real, color="#8a949e", linewidth=1, linestyle=(0, (4, 3)), label="real data")
    axes.set(xlabel="step", ylabel=metric.replace("_", " "), xlim=(0, None))
    axes.set_title(title, loc="left", fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def _draw_others(axes: Any, study: Study, labels: list[str]) -> None:
    for index, label in enumerate(labels):
        (line,) = axes.plot(study.steps, study.mean_curve(label), color="#c3c9cf", linewidth=1)
        if index == 0:
            line.set_label("other schedules")


def _draw_band(axes: Any, study: Study, label: str, color: str) -> None:
    points = range(len(study.steps))
    estimates = [bootstrap(study.curves[label][:, point, :, 0]) for point in points]
    low = [estimate.low for estimate in estimates]
    high = [estimate.high for estimate in estimates]
    axes.fill_between(study.steps, low, high, color=color, alpha=0.15, linewidth=0)
    axes.plot(study.steps, study.mean_curve(label), color=color, linewidth=1.8, label=label)
