"""Functions of space and time beside the curves of a run."""

from typing import Any

import numpy as np

from autoloss_gym.core.field_task import Field


def draw_field(figure: Any, left: float, field: Field) -> None:
    """Draws the exact function, the model and the difference right of `left`, a share of the width.

    One dimension makes a panel of two lines over one of their difference, two make three images.
    """
    error = np.nan_to_num(field.found - field.exact)
    if field.exact.ndim == 1:
        _draw_lines(figure, left, field, error)
    else:
        _draw_images(figure, left, field, error)


def _draw_lines(figure: Any, left: float, field: Field, error: np.ndarray) -> None:
    places = np.linspace(field.low[0], field.high[0], len(field.exact))
    margins = {"left": left + 0.07, "right": 0.98, "bottom": 0.12, "top": 0.92}
    grid = figure.add_gridspec(2, 1, height_ratios=(3, 1), hspace=0.1, **margins)
    above, below = grid.subplots(sharex=True)
    above.plot(places, field.exact, label="exact", linewidth=1.8, color="black")
    above.plot(places, field.found, label="network", linewidth=1.2, color="C3")
    # The scale stays that of the solution while the network is still far away.
    low, high = float(field.exact.min()), float(field.exact.max())
    margin = 0.5 * max(high - low, 1e-6)
    above.set_ylim(low - margin, high + margin)
    above.legend(loc="upper right", frameon=False, fontsize="small")
    below.plot(places, error, linewidth=1.2, color="C3")
    below.set(xlabel=field.names[0], ylabel="error")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)


def _draw_images(figure: Any, left: float, field: Field, error: np.ndarray) -> None:
    greatest = max(float(np.abs(field.exact).max()), 1e-6)
    images = (("exact", field.exact), ("network", field.found), ("error", error))
    across, up = field.names
    extent = (field.low[0], field.high[0], field.low[1], field.high[1])
    for index, (name, values) in enumerate(images):
        axes = figure.add_axes((left + 0.04, 0.70 - 0.30 * index, 0.24, 0.22))
        scale = greatest
        if name == "error":
            scale = max(float(np.abs(error).max()), 1e-6)
            name = f"error, up to {scale:.2g}"
        picture = np.nan_to_num(values).T
        axes.imshow(
            picture,
            origin="lower",
            extent=extent,
            aspect="auto",
            cmap="RdBu_r",
            vmin=-scale,
            vmax=scale,
        )
        axes.set_title(name, fontsize="small", pad=2)
        axes.tick_params(labelsize=6, length=2)
        axes.set_ylabel(up, fontsize="small", labelpad=0)
        if index < len(images) - 1:
            axes.set_xticklabels([])
        else:
            axes.set_xlabel(across, fontsize="small", labelpad=0)
