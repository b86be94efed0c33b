"""The picture of who gains: by how badly the open loop fits a problem."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from agents.evaluation.statistics import bootstrap

_BINS = 8


def draw(panels: dict[str, tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    """One panel a family.

    Args:
        panels: by title, regrets of the open loop against the best of the candidates of each
            problem (problems,), and differences of the controller to the open loop (problems,).
        path: of the picture.
    """
    figure = Figure(figsize=(4.2 * len(panels), 3.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for panel, (title, (regrets, gains)) in zip(axes, panels.items(), strict=True):
        panel.axhline(0, color="0.6", linewidth=0.8)
        panel.scatter(regrets, gains, s=4, alpha=0.25, color="tab:blue", linewidths=0)
        order = np.argsort(regrets, kind="stable")
        for rows in np.array_split(order, _BINS):
            found = bootstrap(gains[rows][None])
            error = [[found.value - found.low], [found.high - found.value]]
            place = np.median(regrets[rows])
            panel.errorbar(place, found.value, yerr=error, fmt="o", color="tab:red", capsize=2)
        low, high = np.quantile(gains, [0.01, 0.99])
        panel.set_ylim(low, high)
        panel.set_xlim(-0.02, np.quantile(regrets, 0.99))
        panel.set_title(title)
        panel.set_xlabel("open loop − best of 50 shifts of it")
    axes[0].set_ylabel("controller − open loop (below 0 it gains)")
    figure.savefig(path)
