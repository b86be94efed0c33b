"""The picture of a run: losses, validation, the schedule so far, and images of its model."""

import math
import textwrap
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from autoloss_gym.core.field_task import Field
from autoloss_gym.core.task import Task
from autoloss_gym.core.text_task import Translation
from autoloss_gym.environment.field_drawing import draw_field
from autoloss_gym.signals.history import History

SAMPLES = 16  # images of a run that are shown
SENTENCES = 5  # translations of a run that are shown
_BORDER = 1  # pixels between two images
_LINE = 50  # characters of a line of text beside the curves


def image_grid(
    images: Float[np.ndarray, "count height width channels"],
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Images in [0, 1], of one channel or three, as a single picture with white borders.

    It has about as many rows of images as columns.
    """
    count, height, width, _ = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    shape = (rows * (height + _BORDER) + _BORDER, columns * (width + _BORDER) + _BORDER, 3)
    grid = np.full(shape, 255, dtype=np.uint8)

    pixels = np.rint(255 * np.nan_to_num(images).clip(0, 1)).astype(np.uint8)
    for index, image in enumerate(pixels):
        row, column = divmod(index, columns)
        top = _BORDER + row * (height + _BORDER)
        left = _BORDER + column * (width + _BORDER)
        grid[top : top + height, left : left + width] = image
    return grid


class Trace:
    """Records on the host what a picture of each run needs."""

    def __init__(self, task: Task, num_envs: int) -> None:
        self._task = task
        shape = (task.max_steps + 1, num_envs)
        self._losses = np.zeros((*shape, len(task.pairs)), np.float32)
        self._validation = np.zeros(shape, np.float32)
        self._weights = np.zeros((*shape, len(task.pairs)), np.float32)

    def record(
        self,
        places: np.ndarray,
        steps: np.ndarray,
        history: History,
        weights: Tensor | None,
        mask: np.ndarray,
    ) -> None:
        """Store the latest values of the masked runs at their step; no `weights` at a reset.

        Args:
            places: of these runs in the batch, (runs,).
            steps: at which each is, (runs,).
            history: theirs.
            weights: of the pairs in the last update.
            mask: runs whose values are stored, (runs,), bool.
        """
        rows = np.flatnonzero(mask)
        at = (steps[rows], places[rows])
        self._losses[at] = history.losses.cpu().numpy()[rows]
        self._validation[at] = history.validation[:, 0].cpu().numpy()[rows]
        if weights is not None:
            self._weights[at] = weights.cpu().numpy()[rows]

    def draw(self, steps: np.ndarray, samples: Any = None) -> tuple[np.ndarray, ...]:
        """A picture of each run from its reset to its present step, uint8.

        Args:
            steps: at which each run is, (num_envs,).
            samples: what the models make, for tasks that have some: images (num_envs, count,
                height, width, channels), or for each run a list of translations or a `Field`.

        Returns:
            (400, 600, 3); with samples, which stand beside the curves, (400, 900, 3).
        """
        made = [None] * len(steps) if samples is None else list(samples)
        return tuple(self._draw_one(row, int(count), made[row]) for row, count in enumerate(steps))

    def _draw_one(self, row: int, count: int, made: Any) -> np.ndarray:
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 (optional)
            from matplotlib.figure import Figure  # noqa: PLC0415
        except ImportError:
            raise ImportError(
                "rendering needs matplotlib: pip install 'autoloss_gym[agents]'"
            ) from None
        # Fixed margins: a layout that Matplotlib finds itself takes twice as long as the drawing.
        width = 6 if made is None else 9
        figure = Figure(figsize=(width, 4), dpi=100)
        canvas = FigureCanvasAgg(figure)
        right = 5.8 if self._task.validation_metrics[0].minimize else 5.05
        margins = {"left": 0.95 / width, "right": right / width, "bottom": 0.12, "top": 0.92}
        grid = figure.add_gridspec(2, 1, height_ratios=(3, 1), hspace=0.1, **margins)
        panels: Any = grid.subplots(sharex=True)
        curves, schedule = panels
        if isinstance(made, Field):
            draw_field(figure, 6 / width, made)
        elif made is not None:
            beside = figure.add_axes((6.1 / width, 0.03, 2.8 / width, 0.94))
            beside.set_axis_off()
            if isinstance(made, list):
                beside.text(0, 1, _as_lines(made), fontsize=7, verticalalignment="top")
            else:
                beside.imshow(image_grid(made), interpolation="nearest")
        self._draw_curves(curves, row, count)
        self._draw_schedule(schedule, row, count)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()

    def _draw_curves(self, axes: Any, row: int, count: int) -> None:
        """Losses and the deciding metric; one that is maximised has an axis of its own."""
        from matplotlib.ticker import LogLocator, NullLocator  # noqa: PLC0415 (optional)

        steps = np.arange(count + 1)
        losses = self._losses[: count + 1, row]
        validation = self._validation[: count + 1, row]
        metric = self._task.validation_metrics[0]
        for index, pair in enumerate(self._task.pairs):
            axes.plot(steps, losses[:, index], label=pair.name, linewidth=1.2, color=f"C{index}")
        # A maximised metric is no loss: its scale would hide how the losses move.
        own_axis = not metric.minimize
        metric_axes = axes.twinx() if own_axis else axes
        name = f"validation {metric.name}"
        metric_axes.plot(steps, validation, label=name, color="black", linewidth=1.8)

        on_axes = losses if own_axis else np.column_stack([losses, validation])
        if (on_axes > 0).all():
            axes.set_yscale("log")
            # Over more decades than these, the locator would leave out every tick.
            few = on_axes.max() < 1e5 * on_axes.min()
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
            axes.yaxis.set_major_formatter("{x:g}")  # ten to a power is slow to typeset
            axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylabel("loss")
        axes.spines[["top", "right"]].set_visible(False)
        if own_axis:
            metric_axes.set_ylabel(f"{name} (black)")
            metric_axes.spines["top"].set_visible(False)
            above = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 3}
            axes.legend(**above, frameon=False, fontsize="small")
        else:
            axes.legend(loc="upper right", frameon=False, fontsize="small")

    def _draw_schedule(self, axes: Any, row: int, count: int) -> None:
        """Each pair's share of the weights, as a moving average, stacked."""
        weights = self._weights[1 : count + 1, row]
        total = np.maximum(weights.sum(axis=1, keepdims=True), 1e-30)  # a run may have stood still
        shares = (weights / total).T
        if count:
            window = min(max(1, self._task.max_steps // 30), count)
            shares = np.stack([_moving_average(share, window) for share in shares])
        axes.stackplot(
            np.arange(1, count + 1),
            *shares,
            labels=[pair.name for pair in self._task.pairs],
            colors=[f"C{index}" for index in range(len(shares))],
        )
        axes.set(xlim=(0, self._task.max_steps), ylim=(0, 1), xlabel="step", ylabel="share")
        axes.spines[["top", "right"]].set_visible(False)


def _moving_average(values: np.ndarray, window: int) -> np.ndarray:
    """Averages over the part of a centred window that lies within the values."""
    kernel = np.ones(window)
    sums = np.convolve(values, kernel, "same")
    counts = np.convolve(np.ones(len(values)), kernel, "same")
    return sums / counts


def _as_lines(translations: list[Translation]) -> str:
    """Each sentence, its meaning and its translation, broken into lines."""
    paragraphs = []
    for each in translations:
        named = (("", each.source), ("= ", each.reference), ("→ ", each.translation))
        lines = [textwrap.shorten(f"{sign}{text}", 150, placeholder=" …") for sign, text in named]
        paragraphs.append("\n".join(textwrap.fill(line, _LINE) for line in lines))
    return "\n\n".join(paragraphs)
