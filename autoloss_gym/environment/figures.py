"""What can be asked of the runs between two steps: figures, what their models make, pictures."""

from typing import Any

import numpy as np

from autoloss_gym.core.task import Task
from autoloss_gym.environment import pictures
from autoloss_gym.environment.batch import Batch
from autoloss_gym.environment.infos import Reporter
from autoloss_gym.environment.rendering import SAMPLES


class RunFigures:
    """A part of `AutoLossVectorEnv`; none of its methods moves a run."""

    task: Task
    _batch: Batch
    _reporter: Reporter
    _pictures: pictures.Pictures | None

    def diagnostics(self) -> dict[str, Any]:
        """All losses, gradient norms and validation metrics measured anew.

        It costs a forward and backward pass of every loss and a validation, and moves nothing.

        Returns:
            `fresh_losses`, `fresh_gradient_norms` (num_envs, pairs) and `fresh_validation`
            (num_envs, metrics), float32.
        """
        return self._reporter.diagnostics(self._batch.runs.state)

    def scores(self) -> Any:
        """Figures of merit, (num_envs, metrics), float32, on data that no decision may see."""
        return self._reporter.output(self.task.score(self._batch.runs.state))

    def samples(self, count: int = SAMPLES) -> Any:
        """Images that the models make, (num_envs, count, height, width, channels), in [0, 1]; or,
        where they translate, a list of `Translation` for each run.

        Raises:
            ValueError: the task is neither an `ImageTask` nor a `TextTask`.
        """
        made = pictures.samples(self.task, self._batch.runs.state, count)
        return made if isinstance(made, list) else self._reporter.output(made)

    def render(self) -> tuple[np.ndarray, ...] | None:
        """One picture (height, width, 3), uint8, of each run: its curves, schedule and images."""
        if self._pictures is None:
            return None
        return self._pictures.draw(self._batch.phases.elapsed, self._batch.runs)
