"""Pictures of what a model makes: for TensorBoard, and as a film of one training run."""

from pathlib import Path

import numpy as np
import torch
from stable_baselines3.common.logger import Image, Logger

from autoloss_gym.core.task import ImageTask
from autoloss_gym.environment.rendering import image_grid
from autoloss_gym.environment.vector_env import AutoLossVectorEnv

from .film import Film


class SampleLog:
    """Samples of the first run of a batch, made whenever it is validated, if its task makes images.

    A run that has ended begins anew with an untrained model, so the pictures from before its end
    are the ones that are logged. Making them changes no run.
    """

    def __init__(self, envs: AutoLossVectorEnv) -> None:
        self._envs = envs
        self._steps = 0
        self._present = Film()
        self._finished: Film | None = None
        self._saved: Film | None = None

    def watch(self, ended: bool) -> None:
        """To be called after every step of the batch; `ended` says whether the first run has."""
        task = self._envs.task
        if not isinstance(task, ImageTask):
            return
        if ended:
            self._finished = self._present
            self._present = Film()
            self._steps = 0
            return
        self._steps += self._envs.repeat
        if self._steps % task.validate_every == 0:
            self._present.add(self._grid())

    def record(self, logger: Logger) -> None:
        """Log, for TensorBoard alone, the last picture of the run that ended last.

        Before any run has ended, it is the latest picture of the present one.
        """
        if not isinstance(self._envs.task, ImageTask):
            return
        picture = self._film().latest
        if picture is None:
            picture = self._grid()
        image = Image(picture, "HWC")
        logger.record("environment/samples", image, exclude=("stdout", "csv", "json", "log"))

    def save(self, folder: Path) -> None:
        """Write the film of the run that ended last, or before any has, of the present one."""
        film = self._film()
        if film is self._saved:
            return
        film.save(folder)
        if film is self._finished:
            self._saved = film  # it does not change any more

    def _film(self) -> Film:
        if self._finished is not None and self._finished.latest is not None:
            return self._finished
        return self._present

    def _grid(self) -> np.ndarray:
        images = torch.as_tensor(self._envs.samples()[0]).cpu().numpy()
        return image_grid(images)
