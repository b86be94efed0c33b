"""Pictures of the study, all of one kind."""

from pathlib import Path
from typing import Any

from autoloss_gym.tools.files import replacing

COLORS = ("#2471a3", "#c0392b", "#1e8449", "#7d3c98", "#e67e22", "#566573")


def new_figure(columns: int, rows: int = 1) -> tuple[Any, Any]:
    """A figure and its axes, a flat array."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 (slow to import)
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(4.4 * columns, 3.5 * rows), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.grid(color="#e5e8ea", linewidth=0.8)
        each.set_axisbelow(True)
    return figure, axes


def save(figure: Any, path: Path) -> None:
    """Write the picture whole or not at all, and say so."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
    print(f"\n{path.name} drawn")
