"""The best settings against those to begin with: new training seeds, new validation problems.

The best of many trials is partly the luckiest; what follows from it is seen where none was scored.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..configuration import TrainingConfiguration
from ..evaluation.statistics import Estimate, paired_difference
from ..progress import show_progress
from .settings import Settings
from .trials import Failed, scorer, train_quietly

FOLDER = "confirmation"
_MOST_SEED = 2**31
_FEWEST_SEEDS = 5  # training seeds, as in an evaluation


@dataclass(frozen=True)
class Confirmation:
    """Scores of both, (training seeds, problems) each.

    Args:
        best: by the best settings.
        start: by those to begin with.
        minimize: whether a low score is good.
    """

    best: np.ndarray
    start: np.ndarray
    minimize: bool

    @property
    def difference(self) -> Estimate:
        """Mean of best − start, by the bootstrap over training seeds and problems."""
        return paired_difference(self.best, self.start)

    def sentence(self) -> str:
        """What follows, in words."""
        difference = self.difference
        low, high = difference.low, difference.high
        if not self.minimize:
            low, high = -high, -low
        if high < 0:
            verdict = "The best settings are better than those to begin with"
        elif low > 0:
            verdict = "The best settings are worse than those to begin with"
        else:
            verdict = "The best settings are not shown to be better than those to begin with"
        seeds, problems = self.best.shape
        few = " These are too few training seeds to rely on it." if seeds < _FEWEST_SEEDS else ""
        return (
            f"{verdict}: best_score {self.best.mean():.4g} instead of {self.start.mean():.4g}, a "
            f"difference of {difference.value:+.4g} (95 % interval {difference.low:+.4g} to "
            f"{difference.high:+.4g}; {seeds} new training seed{'s'[: seeds > 1]}, {problems} "
            f"validation problems that no trial was scored on).{few}"
        )


def confirm(
    settings: Settings, best: Mapping[str, Any], folder: Path, minimize: bool
) -> Confirmation | str:
    """Train with the best settings and with those to begin with, and play both.

    Args:
        settings: of the study.
        best: hyper-parameters of the best trial.
        folder: of the study, which keeps the trainings.
        minimize: whether a low score is good.

    Returns:
        The scores, or in one line why there are none.
    """
    configuration = settings.configuration
    sides = {"start": configuration.hyperparameters, "best": dict(best)}
    scores: dict[str, list[np.ndarray]] = {name: [] for name in sides}
    total = len(sides) * settings.confirm_seeds
    judge = scorer(configuration, first=settings.episodes, count=settings.episodes)
    stage = "training with new seeds"
    with show_progress("trainings", lines=total) as progress:
        progress.update(stage, 0, total)
        for number in range(1, settings.confirm_seeds + 1):
            for name, hyperparameters in sides.items():
                trained = _with_seed(configuration, number, hyperparameters)
                own = folder / FOLDER / f"{name}_{trained.seed}"
                try:
                    train_quietly(trained, own)
                    scores[name].append(judge.best_scores(own))
                except Failed as error:
                    return (
                        "The best settings were not compared with those to begin with: in "
                        f"{own}, {error}"
                    )
                done = sum(map(len, scores.values()))
                progress.update(stage, done, total)
    return Confirmation(np.stack(scores["best"]), np.stack(scores["start"]), minimize)


def _with_seed(
    configuration: TrainingConfiguration, number: int, hyperparameters: Mapping[str, Any]
) -> TrainingConfiguration:
    """The training of another seed than that of the trials."""
    seed = (configuration.seed + number) % _MOST_SEED
    return replace(configuration, seed=seed, hyperparameters=dict(hyperparameters))
