"""Contour plots of surfaces with the paths of runs, above their distances to the minimum."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autoloss_gym.tools.files import replacing

# Colour, width and dashes; widest first, so that a path on top of another leaves that visible.
_STYLES = (
    ("#8a949e", 4.0, "-"),
    ("black", 2.6, "-"),
    ("#e67e22", 1.4, (0, (4, 2))),
    ("#2471a3", 1.2, "-"),
    ("#7d3c98", 1.0, (0, (1, 1))),
)
_DECADES = (-2, 3)  # of the heights that are told apart


@dataclass(frozen=True)
class Panel:
    """Content of one column.

    Args:
        title: above it.
        surface: (x, y) → the sum of the losses.
        minimum: where that is least.
        extent: least x, greatest x, least y, greatest y of the contours.
        after: the number of steps after which a dot marks where each run is.
        paths: the points (steps, 2) of each run by its label.
    """

    title: str
    surface: Callable[[np.ndarray, np.ndarray], np.ndarray]
    minimum: tuple[float, float]
    extent: tuple[float, float, float, float]
    after: int
    paths: dict[str, np.ndarray]


def draw(panels: list[Panel], tolerance: float, path: Path) -> None:
    """One column for each panel: the paths above, the distances to the minimum below."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 (slow to import)
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(4.6 * len(panels), 7.6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(2, len(panels), height_ratios=(1.25, 1), squeeze=False)
    styles = _styles(panels)
    for panel, above, below in zip(panels, *rows, strict=True):
        _draw_paths(above, panel, styles)
        _draw_distances(below, panel, styles, tolerance)
    rows[1, 0].set_ylabel("distance to the minimum")
    handles = {}
    for axes in rows[1]:
        for line in axes.get_lines():
            if line.get_label() in styles:
                handles[line.get_label()] = line
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=len(handles),
        frameon=False,
    )
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def _styles(panels: list[Panel]) -> dict[str, dict[str, Any]]:
    """The same style for the same label in every panel."""
    labels = dict.fromkeys(label for panel in panels for label in panel.paths)
    styles: dict[str, dict[str, Any]] = {}
    for label, (color, width, dashes) in zip(labels, _STYLES, strict=False):
        styles[label] = {"color": color, "linewidth": width, "linestyle": dashes}
    return styles


def _draw_paths(axes: Any, panel: Panel, styles: dict[str, dict[str, Any]]) -> None:
    _draw_contours(axes, panel)
    for label, points in panel.paths.items():
        style = styles[label]
        axes.plot(points[:, 0], points[:, 1], **style, zorder=2)
        reached = points[min(panel.after, len(points) - 1)]
        axes.plot(
            *reached,
            "o",
            color=style["color"],
            markersize=5 + 2 * style["linewidth"],
            markeredgecolor="white",
            zorder=4,
        )
    start = next(iter(panel.paths.values()))[0]
    axes.plot(*start, "s", color="black", markersize=6, zorder=3)
    axes.annotate("start", start, xytext=(-7, -4), textcoords="offset points", ha="right")
    axes.plot(
        *panel.minimum, "*", color="#c0392b", markersize=13, markeredgecolor="white", zorder=5
    )
    left, right, bottom, top = panel.extent
    axes.set(xlim=(left, right), ylim=(bottom, top), xlabel="x", ylabel="y")
    axes.locator_params(nbins=6)
    title = f"{panel.title}\n★ minimum   ● after {panel.after:,} steps"
    axes.set_title(title, fontsize="medium", loc="left")


def _draw_contours(axes: Any, panel: Panel) -> None:
    left, right, bottom, top = panel.extent
    x, y = np.meshgrid(np.linspace(left, right, 300), np.linspace(bottom, top, 300))
    heights = np.log10(panel.surface(x, y) + 1e-12)
    levels = np.arange(_DECADES[0], _DECADES[1] + 0.1, 0.5)
    axes.contourf(x, y, heights, levels=levels, cmap="YlGnBu_r", alpha=0.5, extend="both", zorder=0)
    axes.contour(
        x, y, heights, levels=levels, colors="white", linewidths=0.5, linestyles="-", zorder=0
    )


def _draw_distances(
    axes: Any, panel: Panel, styles: dict[str, dict[str, Any]], tolerance: float
) -> None:
    for label, points in panel.paths.items():
        away = points - np.array(panel.minimum)
        axes.plot(np.hypot(away[:, 0], away[:, 1]), label=label, **styles[label])
    axes.axhline(tolerance, color="#c0392b", linewidth=1.2, linestyle=(0, (4, 3)), zorder=3)
    axes.axvline(panel.after, color="black", linewidth=0.8, linestyle=(0, (1, 2)), zorder=3)
    axes.annotate(
        "●",
        (panel.after, 1),
        xycoords=("data", "axes fraction"),
        ha="center",
        va="bottom",
        annotation_clip=False,
    )
    axes.set(yscale="log", xlabel="step", xlim=(0, None), ylim=(tolerance / 2, None))
    axes.locator_params(axis="x", nbins=5)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e5e8ea", linewidth=0.8)
    axes.set_axisbelow(True)
