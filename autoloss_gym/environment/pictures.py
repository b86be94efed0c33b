"""What the runs of an environment look like: their pictures, and the images that models make."""

import numpy as np
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.core.task import Control, ImageTask, State, Task
from autoloss_gym.environment.phases import Phases
from autoloss_gym.environment.rendering import SAMPLES, Trace
from autoloss_gym.environment.runs import Runs
from autoloss_gym.tools.bounds import PositiveInt
from autoloss_gym.tools.fields import converted
from autoloss_gym.tools.memory import within_memory


def samples(
    task: Task, state: State, count: int
) -> Float[Tensor, "num_envs count height width channels"]:
    """Images that the models make, in [0, 1].

    Raises:
        ValueError: the task is no `ImageTask`, or the count is not positive.
    """
    if not isinstance(task, ImageTask):
        raise ValueError(
            f"{type(task).__name__} makes no images: samples() is for tasks that are an ImageTask"
        )
    return task.samples(state, converted("count", count, PositiveInt))


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
        if not isinstance(self._task, ImageTask):
            return self._trace.draw(steps)
        images = samples(self._task, runs.state, SAMPLES)
        return self._trace.draw(steps, images.cpu().numpy())
