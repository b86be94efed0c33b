"""The picture of a run: its losses, its validation and the schedule chosen so far."""

from typing import Any

import numpy as np
from torch import Tensor

from autoloss_gym.history import History
from autoloss_gym.task import Task


class Trace:
    """Records on the host what a picture of each run needs."""

    def __init__(self, task: Task, num_envs: int) -> None:
        self._task = task
        shape = (task.max_steps + 1, num_envs)
        self._losses = np.zeros((*shape, len(task.pairs)), np.float32)
        self._validation = np.zeros(shape, np.float32)
        self._weights = np.zeros((*shape, len(task.pairs)), np.float32)

    def record(self, steps: np.ndarray, history: History, weights: Tensor | None, mask: np.ndarray) -> None:
        """Store the latest values of the masked runs at their step; `weights` is None at a reset."""
        rows = np.flatnonzero(mask)
        at = (steps[rows], rows)
        self._losses[at] = history.losses.cpu().numpy()[rows]
        self._validation[at] = history.validation[:, 0].cpu().numpy()[rows]
        if weights is not None:
            self._weights[at] = weights.cpu().numpy()[rows]

    def draw(self, steps: np.ndarray) -> tuple[np.ndarray, ...]:
        """A picture (400, 600, 3), uint8, of each run from its reset to its present step."""
        return tuple(self._draw_one(row, int(count)) for row, count in enumerate(steps))

    def _draw_one(self, row: int, count: int) -> np.ndarray:
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 (optional)
            from matplotlib.figure import Figure  # noqa: PLC0415
        except ImportError:
            raise ImportError("rendering needs matplotlib: pip install 'autoloss_gym[agents]'") from None
        figure = Figure(figsize=(6, 4), dpi=100, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        curves, schedule = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        self._draw_curves(curves, row, count)
        self._draw_schedule(schedule, row, count)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()

    def _draw_curves(self, axes: Any, row: int, count: int) -> None:
        steps = np.arange(count + 1)
        for index, pair in enumerate(self._task.pairs):
            axes.plot(steps, self._losses[: count + 1, row, index], label=pair.name, linewidth=1.2, color=f"C{index}")
        metric = self._task.validation_metrics[0].name
        axes.plot(steps, self._validation[: count + 1, row], label=f"validation {metric}", color="black", linewidth=1.8)
        if (self._losses[: count + 1, row] > 0).all() and (self._validation[: count + 1, row] > 0).all():
            axes.set_yscale("log")
        axes.set_ylabel("loss")
        axes.legend(loc="upper right", frameon=False, fontsize="small")
        axes.spines[["top", "right"]].set_visible(False)

    def _draw_schedule(self, axes: Any, row: int, count: int) -> None:
        weights = self._weights[1 : count + 1, row]
        total = np.maximum(weights.sum(axis=1, keepdims=True), 1e-30)
        window = max(1, self._task.max_steps // 30)
        kernel = np.ones(min(window, max(count, 1)))
        levels = [np.convolve(share, kernel, "same") / np.convolve(np.ones(count), kernel, "same") if count else share
                  for share in (weights / total).T]  # fmt: skip
        colors = [f"C{index}" for index in range(len(levels))]
        axes.stackplot(np.arange(1, count + 1), *levels, labels=[p.name for p in self._task.pairs], colors=colors)
        axes.set(xlim=(0, self._task.max_steps), ylim=(0, 1), xlabel="step", ylabel="share")
        axes.spines[["top", "right"]].set_visible(False)
