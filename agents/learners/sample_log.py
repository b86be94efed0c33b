"""What a model makes, images or translations: for TensorBoard, and as a film of a training run."""

from pathlib import Path

import numpy as np
import torch
from stable_baselines3.common.logger import Image, Logger
from torch import Tensor

from autoloss_gym.core.task import ImageTask
from autoloss_gym.core.text_task import TextTask
from autoloss_gym.environment.rendering import SENTENCES, image_grid
from autoloss_gym.environment.vector_env import AutoLossVectorEnv

from .film import Film

_OTHERS = ("stdout", "csv", "json", "log")  # what samples are not written to


class SampleLog:
    """Samples of the first run of a batch, made whenever it is validated, if its task makes images
    or translations.

    A run that has ended begins anew with an untrained model, so the samples from before its end are
    the ones that are logged. Making them changes no run.
    """

    def __init__(self, envs: AutoLossVectorEnv) -> None:
        self._envs = envs
        self._steps = 0
        self._present = Film()
        self._finished: Film | None = None
        self._saved: Film | None = None
        self._present_text: str | None = None
        self._finished_text: str | None = None

    def watch(self, ended: bool | Tensor, steps: int = 1) -> None:
        """To be called after every step of the batch, or after all up to a validation; `ended` says
        whether the first run has.

        A tensor is read only where the task makes something to look at.
        """
        task = self._envs.task
        if not isinstance(task, ImageTask | TextTask):
            return
        if ended:
            self._finished, self._present = self._present, Film()
            self._finished_text, self._present_text = self._present_text, None
            self._steps = 0
            return
        self._steps += steps * self._envs.repeat
        if self._steps % task.validate_every:
            return
        if isinstance(task, ImageTask):
            self._present.add(self._grid())
        else:
            self._present_text = self._translations()

    def record(self, logger: Logger) -> None:
        """Log, for TensorBoard alone, the last samples of the run that ended last.

        Before any run has ended, they are the latest of the present one.
        """
        if isinstance(self._envs.task, TextTask):
            text = self._finished_text or self._present_text or self._translations()
            logger.record("environment/translations", text, exclude=_OTHERS)
        if not isinstance(self._envs.task, ImageTask):
            return
        picture = self._film().latest
        if picture is None:
            picture = self._grid()
        image = Image(picture, "HWC")
        logger.record("environment/samples", image, exclude=_OTHERS)

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

    def _translations(self) -> str:
        """A table in Markdown of sentences of the first run, as its model translates them now."""
        rows = [("sentence", "meaning", "translation"), ("---",) * 3]
        for each in self._envs.samples(SENTENCES)[0]:
            rows.append((each.source, each.reference, each.translation))
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    def _grid(self) -> np.ndarray:
        images = torch.as_tensor(self._envs.samples()[0]).cpu().numpy()
        return image_grid(images)
