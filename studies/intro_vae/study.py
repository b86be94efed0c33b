"""Introspective VAE (SoftAdapt §4.2): do adaptive weights help, and what does their unit do?

    python -m studies.intro_vae --num-workers 2              # page and picture in docs/results/
    python -m studies.intro_vae --rows fixed vae gradnorm    # some of the rows, and no page
    python -m studies.intro_vae --preset faces64 --steps 21000 --device cuda     # needs a GPU
    python -m studies.intro_vae --quick                      # small sizes, digits: does it run?

The variable AUTOLOSS_GYM_DATA names the folder of the faces. Every policy meets the same runs of
the test split. Everything is kept in the output folder: given again after a kill, or with more
--seeds, a command goes on where it was.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.environments import SEED_SPACING, EnvironmentMaker
from agents.evaluation.curves import Job, every, play_all
from agents.evaluation.store import Store
from agents.interruption import goes_on
from agents.policies.grammar import parse_specification
from agents.policies.policy import Candidates, Setting
from autoloss_gym.controllers.policy import Policy
from autoloss_gym.tasks.images.intro_vae import IntroVAE
from studies.intro_vae.arguments import parse_arguments
from studies.intro_vae.figure import draw
from studies.intro_vae.page import PAGE
from studies.intro_vae.report import Curves, report
from studies.intro_vae.settings import (
    ENV,
    GRID_SAMPLES,
    GRID_SIMILAR,
    PLAYERS,
    POINTS,
    QUICK,
    Row,
    grid,
    weighted,
)

_VALIDATION_SEEDS = 0  # the first seed of the runs that choose
_TEST_SEEDS = SEED_SPACING  # and of those that are reported


class Study:
    """Plays rows on the same runs.

    Args:
        arguments: of the command line.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self.output: Path = arguments.output / ("quick" if arguments.quick else "full")
        task = self._task(Row("", "1:1", "players"), "test")
        self.metrics = task.score_metrics
        self.rows = {**weighted(task.reconstruction, task.source.image_shape[0]), **PLAYERS}
        self._grid = list(grid(task.reconstruction))
        # The preset is part of what a curve depends on: it may change with the package.
        self._store = Store(self.output / "curves", {"presets": repr(IntroVAE.presets)})

    @property
    def steps(self) -> np.ndarray:
        """At which rows are scored, in steps of both players, (points,)."""
        return np.array(every(self._arguments.steps // POINTS, self._arguments.steps))

    def played(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Scores of the rows of the table, each (points, runs, metrics)."""
        jobs = [self._job(self.rows[name], "test") for name in names]
        return dict(zip(names, self._play(jobs), strict=True))

    def choose(self) -> None:
        """Let validation runs choose from the grid: by similarity, and by samples."""
        jobs = [self._job(row, "validation") for row in self._grid]
        ends = np.stack([curve[-1].mean(axis=0) for curve in self._play(jobs)])
        names = [metric.name for metric in self.metrics]
        similar = self._grid[int(ends[:, names.index("structural_similarity")].argmax())]
        samples = self._grid[int(ends[:, names.index("frechet_distance")].argmin())]
        of = f"of {len(self._grid)}"
        chosen = {
            GRID_SIMILAR: Row(
                f"best SSIM {of}: {similar.title}", similar.policy, task=similar.task
            ),
            GRID_SAMPLES: Row(
                f"best Fréchet distance {of}: {samples.title}", samples.policy, task=samples.task
            ),
        }
        self.rows = {**chosen, **self.rows}

    def _play(self, jobs: Sequence[Job]) -> list[np.ndarray]:
        return play_all(jobs, self._store, self._arguments.num_workers)

    def _job(self, row: Row, split: str) -> Job:
        turns = 2 if row.arms == "players" else 1
        first = _TEST_SEEDS if split == "test" else _VALIDATION_SEEDS
        count = self._arguments.seeds if split == "test" else self._arguments.validation_seeds
        seeds = tuple(range(first, first + count))
        steps = tuple(turns * int(step) for step in self.steps)
        shown = steps if split == "test" else steps[-1:]
        return Job(self._maker(row, split), self._policy(row), seeds, shown)

    def _policy(self, row: Row) -> Policy:
        setting = Setting(self._task(row, "test"), ENV)
        policy = parse_specification(row.policy).build(setting)
        assert not isinstance(policy, Candidates)
        return policy

    def _task(self, row: Row, split: str) -> IntroVAE:
        task = self._maker(row, split)(num_envs=1).task
        assert isinstance(task, IntroVAE)
        return task

    def _maker(self, row: Row, split: str) -> EnvironmentMaker:
        turns = 2 if row.arms == "players" else 1
        sizes: Mapping[str, Any] = QUICK if self._arguments.quick else {}
        given = {"preset": self._arguments.preset, "arms": row.arms, "split": split}
        steps = {"max_steps": turns * self._arguments.steps}
        device = {"device": self._arguments.device} if self._arguments.device else {}
        return EnvironmentMaker(ENV, {**given, **sizes, **row.task, **steps, **device})


def run() -> None:
    arguments = parse_arguments(__doc__ or "")
    torch.set_num_threads(1)
    study = Study(arguments)
    goes_on(lambda: f"{study.output} holds what is finished: the same command goes on with it")
    if arguments.rows is None:
        study.choose()
    names = list(study.rows) if arguments.rows is None else arguments.rows
    _check(names, study.rows)
    curves = Curves(
        study.metrics,
        study.steps,
        {name: study.rows[name].title for name in names},
        study.played(names),
    )
    part = report(curves)
    print(part)
    if arguments.rows is None:
        folder = study.output if arguments.quick else arguments.docs
        folder.mkdir(parents=True, exist_ok=True)
        picture = f"intro_vae_{arguments.preset}.png"
        PAGE.write(folder / "intro_vae.md", arguments.preset, f"{part}\n\n![Curves]({picture})")
        draw(curves, folder / picture)


def _check(names: Sequence[str], rows: Mapping[str, Row]) -> None:
    for name in names:
        if name not in rows:
            raise ValueError(f"--rows {name}: expected some of {', '.join(rows)}")
