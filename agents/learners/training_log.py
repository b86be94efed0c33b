"""Figures of a training with Stable-Baselines3, and its progress."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger, make_output_format

from ..progress import Progress
from .sample_log import SampleLog

# What is logged of every episode, beside the share of each pair.
EPISODE_FIGURES = ("score", "best_score", "steps", "diverged", "collapsed")


def tenths(steps: int, total: int) -> int:
    """How many tenths of a training are done."""
    return 10 * steps // total


class Report(BaseCallback):
    """Logs the environment's figures, shows progress, and saves every so many environment steps.

    The figures are means over the episodes that ended since the last dump: `score`, `best_score`,
    `steps`, `diverged`, `collapsed`, and the share of each pair. Ten times in a training the
    samples of the first run are logged, where the task makes images.

    Args:
        stage: what is being done, for the progress.
        total: environment steps of the training.
        checkpoint_every: environment steps between two checkpoints.
        save: writes a checkpoint; called when the next rollout begins, where nothing is half done.
        samples: pictures of the first run.
        progress: where progress is shown.
    """

    def __init__(
        self,
        stage: str,
        total: int,
        checkpoint_every: int,
        save: Callable[[], None],
        samples: SampleLog,
        progress: Progress,
    ) -> None:
        super().__init__()
        self._stage = stage
        self._total = total
        self._checkpoint_every = checkpoint_every
        self._save = save
        self._samples = samples
        self._progress = progress
        self._is_checkpoint_due = False
        self._note = ""

    def _on_training_start(self) -> None:
        self._tenths = tenths(self.num_timesteps, self._total)
        self._checkpoints = self.num_timesteps // self._checkpoint_every
        self._pairs = [pair.name for pair in self.training_env.get_attr("task")[0].pairs]
        self._progress.update(self._stage, self.num_timesteps, self._total)

    def _on_step(self) -> bool:
        infos = self.locals["infos"]
        for info in infos:
            if "best_score" in info:
                self._log_episode(info)
        self._samples.watch(ended="best_score" in infos[0])

        checkpoints = self.num_timesteps // self._checkpoint_every
        if checkpoints > self._checkpoints:
            self._checkpoints = checkpoints
            self._is_checkpoint_due = True

        done = tenths(self.num_timesteps, self._total)
        if done > self._tenths:
            self._tenths = done
            self._samples.record(self.logger)
        self._progress.update(self._stage, self.num_timesteps, self._total, self._note)
        return True

    def _on_rollout_start(self) -> None:
        if self._is_checkpoint_due:
            self._save()
            self._is_checkpoint_due = False

    def _on_training_end(self) -> None:
        self.logger.dump(self.num_timesteps)

    def _log_episode(self, info: dict[str, Any]) -> None:
        for name in EPISODE_FIGURES:
            self.logger.record_mean(f"environment/{name}", float(info[name]))
        for name, share in zip(self._pairs, info["pair_shares"], strict=True):
            self.logger.record_mean(f"environment/share_of_{name}", float(share))
        means = self.logger.name_to_value
        first = self._pairs[0]
        best_score = means["environment/best_score"]
        share = means[f"environment/share_of_{first}"]
        self._note = f"best score {best_score:8.4f}  share of {first} {share:.2f}"


def open_logger(folder: Path, steps: int) -> Logger:
    """TensorBoard and CSV in `folder`; a training that goes on after `steps` writes another CSV."""
    suffix = f"_from_{steps}" if steps else ""
    formats = [
        make_output_format("tensorboard", str(folder)),
        make_output_format("csv", str(folder), suffix),
    ]
    return Logger(str(folder), formats)
