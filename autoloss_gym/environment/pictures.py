"""What the runs of an environment look like: their pictures, and what their models make."""

from typing import Any

import numpy as np
from torch import Tensor

from autoloss_gym.core.field_task import FieldTask
from autoloss_gym.core.task import Control, ImageTask, State, Task
from autoloss_gym.core.text_task import TextTask
from autoloss_gym.environment.phases import Phases
from autoloss_gym.environment.rendering import SAMPLES, SENTENCES, Trace
from autoloss_gym.environment.runs import Runs
from autoloss_gym.tools.bounds import PositiveInt
from autoloss_gym.tools.fields import converted
from autoloss_gym.tools.memory import within_memory


def samples(task: Task, state: State, count: int) -> Any:
    """What the models of each run make.

    Returns:
        Of an `ImageTask` images in [0, 1], (num_envs, count, height, width, channels); of a
        `TextTask` for each run a list of `Translation`.

    Raises:
        ValueError: the task is neither, or the count is not positive.
    """
    if isinstance(task, ImageTask):
        return task.samples(state, converted("count", count, PositiveInt))
    if isinstance(task, TextTask):
        return task.translations(state, converted("count", count, PositiveInt))
    raise ValueError(
        f"{type(task).__name__} makes neither images nor translations: samples() is for tasks that "
        "are an ImageTask or a TextTask"
    )


class Pictures:
    """Keeps the course of every run, and draws it.

    Args:
        task: what is trained.
        num_envs: number of runs.
    """

    def __init__(self, task: Task, num_envs: int) -> None:
        self._task = task
        with within_memory(f"pictures of {num_envs} runs of {task.max_steps} updates"):
            self._trace = Trace(task, num_envs)

    def watch(self, phases: Phases, runs: Runs, control: Control, moved: np.ndarray) -> None:
        """Keep what an update has done to the runs that it moved, (runs,), bool."""
        self.record(phases, runs, control.weights, moved)

    def record(self, phases: Phases, runs: Runs, weights: Tensor | None, mask: np.ndarray) -> None:
        """Keep the latest figures of the masked runs; `weights` is None at a reset."""
        self._trace.record(phases.rows, phases.elapsed, runs.history, weights, mask)

    def draw(self, steps: np.ndarray, runs: Runs) -> tuple[np.ndarray, ...]:
        """One picture (height, width, 3), uint8, of each run, which has made so many steps."""
        if isinstance(self._task, ImageTask):
            images = samples(self._task, runs.state, SAMPLES)
            return self._trace.draw(steps, images.cpu().numpy())
        if isinstance(self._task, TextTask):
            return self._trace.draw(steps, samples(self._task, runs.state, SENTENCES))
        if isinstance(self._task, FieldTask):
            return self._trace.draw(steps, self._task.fields(runs.state))
        return self._trace.draw(steps)
