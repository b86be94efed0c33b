"""Pictures of the study of learned optimizers."""

from pathlib import Path
from typing import Any

import numpy as np

from agents.evaluation.statistics import Estimate, bootstrap
from autoloss_gym.tools.files import replacing

# Colour and dashes of each entrant of the curves.
STYLES: dict[str, tuple[str, Any]] = {
    "train_unroll": ("#c0392b", "-"),
    "train_evolution": ("#e67e22", (0, (4, 2))),
    "validation_unroll": ("#2471a3", "-"),
    "validation_evolution": ("#16a085", (0, (4, 2))),
    "validation_sgd": ("#7f8c8d", (0, (1, 1))),
    "validation_adam": ("black", (0, (1, 1))),
}
LABELS = {
    "train_unroll": "train-by-train, unroll",
    "train_evolution": "train-by-train, evolution",
    "validation_unroll": "train-by-validation, unroll",
    "validation_evolution": "train-by-validation, evolution",
    "validation_sgd": "SGD, tuned",
    "validation_adam": "Adam, tuned",
    "train_hessian": "train-by-train, evolution, flat by Hessian norm",
    "train_entropy": "train-by-train, evolution, flat by local entropy",
    "longer": "train-by-validation, evolution, longer",
    "posterior": "posterior, at its mean",
}
Runs = np.ndarray  # (steps, seeds, problems)


def draw_curves(
    steps: tuple[int, ...],
    horizon: int,
    panels: dict[str, dict[str, dict[str, Runs]]],
    path: Path,
) -> None:
    """Training loss and test error against steps, a column for each share of random labels.

    Args:
        steps: at which the curves are measured.
        horizon: of the meta-training, where a line stands.
        panels: runs by title, figure ("train_loss", "test_error") and entrant.
        path: of the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 (slow to import)
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(4.8 * len(panels), 7.0), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(2, len(panels), sharex=True, squeeze=False)
    for column, (title, figures) in enumerate(panels.items()):
        for row, name in enumerate(("train_loss", "test_error")):
            axes = rows[row, column]
            for entrant, runs in figures[name].items():
                _draw_band(axes, steps, runs, entrant)
            axes.axvline(horizon, color="#b0b7bd", linewidth=0.8)
            axes.set_xscale("symlog", linthresh=10)
            axes.grid(alpha=0.2)
        rows[0, column].set_title(title)
        rows[0, column].set_yscale("log")
        rows[0, column].set_ylim(3e-3, 5)
        rows[1, column].set_ylim(0.1, 0.6)
        rows[1, column].set_xlabel("updates of the classifier")
    rows[0, 0].set_ylabel("training loss, with the labels that it sees")
    rows[1, 0].set_ylabel("test error, with right labels")
    rows[1, 0].legend(fontsize=7)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def _draw_band(axes: Any, steps: tuple[int, ...], runs: Runs, entrant: str) -> None:
    color, dashes = STYLES[entrant]
    found = [bootstrap(np.nan_to_num(each, nan=1e3), replicates=300) for each in runs]
    axes.plot(
        steps, [each.value for each in found],
        color=color, linestyle=dashes, linewidth=1.5, label=LABELS[entrant],
    )  # fmt: skip
    axes.fill_between(
        steps, [each.low for each in found], [each.high for each in found],
        color=color, alpha=0.15, linewidth=0,
    )  # fmt: skip


def draw_figures(
    rows: dict[str, dict[str, Estimate]], coverage: dict[str, Estimate], nominal: float, path: Path
) -> None:
    """Test error and calibration error of each optimizer, and the coverage of intervals."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 (slow to import)
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(11.0, 3.2), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3)
    for place, name in enumerate(("test_error", "calibration_error")):
        _draw_points(axes[place], {LABELS[key]: row[name] for key, row in rows.items()})
        axes[place].set_xlabel(name.replace("_", " "))
    axes[1].set_yticklabels([])
    _draw_points(axes[2], coverage)
    axes[2].axvline(nominal, color="#b0b7bd", linewidth=0.8)
    axes[2].set_xlim(0, 1)
    axes[2].set_xlabel(f"coverage, {nominal:.0%} wanted")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def _draw_points(axes: Any, estimates: dict[str, Estimate]) -> None:
    """Values with their intervals, one line each."""
    for line, (label, estimate) in enumerate(estimates.items()):
        del label
        axes.plot([estimate.low, estimate.high], [line, line], color="#2471a3", linewidth=1.5)
        axes.plot([estimate.value], [line], "o", color="#2471a3", markersize=4)
    axes.set_yticks(range(len(estimates)), list(estimates), fontsize=7)
    axes.invert_yaxis()
    axes.grid(alpha=0.2)
