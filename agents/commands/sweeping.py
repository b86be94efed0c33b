"""The work of `sweep`: trainings as cells, then one benchmark of all that they have learned."""

import argparse
import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ..environments import EnvironmentMaker
from ..evaluation.entrants import make_entrants, warnings
from ..evaluation.reports.report import save_report, text_table
from ..evaluation.rows import Benchmark
from ..learners.learner import make_learner
from ..policies.constants import with_constant
from ..policies.grammar import KINDS, Specification
from ..policies.stored_paths import Trained
from ..progress import show_progress
from ..sweeps.cells import place_of
from ..sweeps.configuration import Sweep, Training
from ..sweeps.crews import CellsFailed, Crew, crew_of, play_cells
from ..sweeps.evaluations import memory_of
from ..sweeps.trainings import TrainingCell, is_finished, training_cell
from .benchmark import play_benchmark
from .result_folder import result_folder, title

CELLS = "cells"  # the folder of all results
TRAININGS = "trainings"  # that of the run folders
_OF_COMPARISON = ("split", "episodes", "seed", "deterministic", "runs_per_cell")


def run_sweep(
    arguments: argparse.Namespace,
    sweep: Sweep,
    specifications: Sequence[Specification],
    resumption: str,
) -> None:
    """Train, play the benchmark, print its table, and write its files.

    Args:
        arguments: of the command.
        sweep: what its file says.
        specifications: of the policies to compare with.
        resumption: the command that goes on with a folder, which follows it.

    Raises:
        CellsFailed: some trainings failed; all that is whole is in the table.
    """
    torch.set_num_threads(arguments.num_threads)
    task = maker(sweep, sweep.split)(num_envs=1).task
    make_entrants(specifications, task, sweep.env)  # what is wrong is said before the trainings
    with result_folder(arguments, task, CELLS, resumption, ("cell", "cells")) as folder:
        with crew_of(arguments.num_workers, arguments.cluster, arguments.gpus_per_cell) as crew:
            failed = _train(sweep, folder, crew)
            if failed and not (_whole(sweep, failed) or specifications):
                raise failed
            benchmark, lines = _compare(arguments, sweep, specifications, folder, crew, failed)
        name = title(sweep.env, f"{sweep.split} split", env_kwargs=sweep.env_kwargs)
        print(name)
        print(text_table(benchmark, lines))
        for path in save_report(benchmark, lines, name, folder, {"sweep": arguments.content}):
            print(path)
        if failed:
            raise failed


def maker(sweep: Sweep, split: str) -> EnvironmentMaker:
    """Makes the environments of the comparison."""
    return EnvironmentMaker(sweep.env, {**sweep.env_kwargs, "split": split})


def _train(sweep: Sweep, folder: Path, crew: Crew) -> CellsFailed | None:
    """Train what is not trained yet; returns what could not be."""
    cells = [cell for row in _cells(sweep, folder) for cell in row]
    results = folder / CELLS
    missing = [cell for cell in cells if not is_finished(cell, results)]

    def check(number: int, content: bytes | None) -> None:
        if content is not None:
            missing[number].save(results, content)
        if not is_finished(missing[number], results):
            raise OSError("its result is damaged, or has not come")

    with place_of(results) as place, show_progress("trainings", lines=10) as progress:
        done = len(cells) - len(missing)
        try:
            for _ in play_cells(missing, place, crew, {}, check):
                done += 1
                progress.update("training", done, len(cells))
        except CellsFailed as failed:
            return failed
    return None


def _cells(sweep: Sweep, folder: Path) -> list[list[TrainingCell]]:
    """Those of each training, one for each seed; their run folders are made.

    Raises:
        ValueError: an algorithm does not fit the environment, or its settings are bad.
    """
    rows = []
    for number, training in enumerate(sweep.trainings):
        task = make_learner(sweep.configuration(training, sweep.seeds[0])).task
        row = []
        for seed in sweep.seeds:
            configuration = sweep.configuration(training, seed)
            configuration = replace(configuration, data=task.data_digest)
            own = _folder_of(folder, number, seed)
            own.mkdir(parents=True, exist_ok=True)
            memory = memory_of(task, configuration.num_envs)
            name = _name(training, seed)
            row.append(training_cell(configuration, own, name, memory))
        rows.append(row)
    return rows


def _folder_of(folder: Path, number: int, seed: int) -> Path:
    """The run folder of a training with one seed."""
    return folder / TRAININGS / f"{number:04}" / f"seed_{seed}"


def _whole(sweep: Sweep, failed: CellsFailed | None) -> list[Training]:
    """Those that succeeded with all seeds."""
    lost = {each.cell.name for each in failed.failures} if failed else set()
    return [
        training
        for training in sweep.trainings
        if not any(_name(training, seed) in lost for seed in sweep.seeds)
    ]


def _name(training: Training, seed: int) -> str:
    return f"{training.label} seed={seed}"


def _compare(
    arguments: argparse.Namespace,
    sweep: Sweep,
    specifications: Sequence[Specification],
    folder: Path,
    crew: Crew,
    failed: CellsFailed | None,
) -> tuple[Benchmark, list[str]]:
    """Play all that was trained and what it is compared with; remarks for the table."""
    whole = _whole(sweep, failed)
    trained, lines = [], []
    for number, training in enumerate(sweep.trainings):
        if training not in whole:
            lines.append(f"{training.label} is not here: not all of its trainings succeeded.")
            continue
        folders = [_folder_of(folder, number, seed) for seed in sweep.seeds]
        kind = KINDS[training.settings["algo"]]
        trained.append(Specification(training.label, kind, Trained(tuple(folders))))

    task = maker(sweep, sweep.split)(num_envs=1).task
    every = with_constant([*trained, *specifications])
    entrants = make_entrants(every, task, sweep.env, sweep.deterministic)
    for entrant, specification in zip(entrants, trained, strict=False):
        entrant.label = specification.text
    chosen = {name: getattr(sweep, name) for name in _OF_COMPARISON}
    playing = argparse.Namespace(**{**vars(arguments), **chosen})
    benchmark = play_benchmark(
        playing, entrants, functools.partial(maker, sweep), folder / CELLS, crew
    )
    # What a policy has behind it is known once it has played.
    lines += [*task.remarks(sweep.split), *warnings(entrants, sweep.env_kwargs, task)]
    return benchmark, lines
