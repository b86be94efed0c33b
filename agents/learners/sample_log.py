"""Pictures of what a model makes, for TensorBoard."""

import numpy as np
import torch
from stable_baselines3.common.logger import Image, Logger

from autoloss_gym.core.task import ImageTask
from autoloss_gym.environment.rendering import image_grid
from autoloss_gym.environment.vector_env import AutoLossVectorEnv


class SampleLog:
    """Keeps the samples of the first run as they were before its end: after that it has begun anew,
    with an untrained model.

    They are made whenever the run would be validated, if the task makes images. That changes no
    run.
    """

    def __init__(self, envs: AutoLossVectorEnv) -> None:
        self._envs, self._steps = envs, 0
        self._latest: np.ndarray | None = None
        self._finished: np.ndarray | None = None

    def watch(self, ended: bool) -> None:
        """To be called after every step of the batch; `ended` says whether the first run has."""
        task = self._envs.task
        if not isinstance(task, ImageTask):
            return
        if ended:
            self._finished, self._latest, self._steps = self._latest, None, 0
            return
        self._steps += self._envs.repeat
        if self._steps % task.validate_every == 0:
            self._latest = self._grid()

    def record(self, logger: Logger) -> None:
        """Log the picture of the run that ended last, or where there is none that of the present
        one, for TensorBoard alone.
        """
        if not isinstance(self._envs.task, ImageTask):
            return
        kept = [picture for picture in (self._finished, self._latest) if picture is not None]
        image = Image(kept[0] if kept else self._grid(), "HWC")
        logger.record("environment/samples", image, exclude=("stdout", "csv", "json", "log"))

    def _grid(self) -> np.ndarray:
        return image_grid(torch.as_tensor(self._envs.samples()[0]).cpu().numpy())
