"""The work of `evaluate`, once its arguments are known to be good; imports PyTorch."""

import argparse
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from autoloss_gym.core.task import ImageTask

from ..environments import SEED_SPACING, EnvironmentMaker
from ..evaluation.comparison import run_benchmark
from ..evaluation.entrants import Entrant, make_entrants, warnings
from ..evaluation.reports.filming import film, winner
from ..evaluation.reports.report import save_report, text_table
from ..interruption import goes_on
from ..policies.grammar import Specification
from ..progress import Progress, show_progress
from ..run_folders import new_run_folder, save_command


def compare(
    arguments: argparse.Namespace,
    specifications: Sequence[Specification],
    env_kwargs: dict[str, Any],
    resumption: str,
) -> None:
    """Play the benchmark, print its table, and write its files.

    Args:
        arguments: of the command.
        specifications: policies to compare.
        env_kwargs: arguments of the environment.
        resumption: the command that goes on with a folder, which follows it.
    """
    torch.set_num_threads(arguments.num_threads)

    def make_env(split: str) -> EnvironmentMaker:
        return EnvironmentMaker(arguments.env, {**env_kwargs, "split": split})

    task = make_env(arguments.split)(num_envs=1).task
    entrants = make_entrants(specifications, task, arguments.env, arguments.deterministic)
    folder = _result_folder(arguments)
    goes_on(lambda: f"{_kept(folder)}: go on with {resumption} {shlex.quote(str(folder))}")
    with show_progress("training runs", lines=1) as progress:
        benchmark = run_benchmark(
            entrants,
            make_env,
            arguments.split,
            arguments.episodes,
            arguments.seed,
            _announcer(progress, entrants, arguments.split),
            folder / "episodes",
            arguments.num_workers,
        )
    title = _title(arguments, env_kwargs)
    lines = [*task.remarks(arguments.split), *warnings(entrants, env_kwargs)]
    print(title)
    print(text_table(benchmark, lines))
    for path in save_report(benchmark, lines, title, folder, vars(arguments)):
        print(path)

    best = winner(benchmark, entrants)
    if isinstance(task, ImageTask) and best is not None:
        first_problem = arguments.seed * SEED_SPACING
        film(best, make_env(arguments.split), first_problem, folder)


def _result_folder(arguments: argparse.Namespace) -> Path:
    """The folder that is resumed, or a new one, with the command in it."""
    if arguments.resume:
        folder = Path(arguments.resume)
    else:
        folder = new_run_folder(arguments.output, "", arguments.env)
    save_command(folder, arguments)
    return folder


def _kept(folder: Path) -> str:
    number = len(list(folder.glob("episodes/*.npz")))
    return f"{folder} holds {number} finished {'batch' if number == 1 else 'batches'}"


def _title(arguments: argparse.Namespace, env_kwargs: dict[str, Any]) -> str:
    parts = [arguments.env, f"{arguments.split} split"]
    parts += [f"{name}={value}" for name, value in env_kwargs.items()]
    return ", ".join(parts)


def _announcer(
    progress: Progress, entrants: Sequence[Entrant], split: str
) -> Callable[[str, int, int], None]:
    """Shows the stages of the benchmark in words: (stage, done, total) → None."""

    def describe(stage: str) -> str:
        if stage == "search":
            return "searching a schedule on training problems"
        if stage == "choice":
            return f"choosing on validation problems among {_num_candidates(entrants)} candidates"
        if stage == split:
            return f"playing the {split} problems with {len(entrants)} policies"
        return stage

    def announce(stage: str, done: int, total: int) -> None:
        progress.update(describe(stage), done, total)

    return announce


def _num_candidates(entrants: Sequence[Entrant]) -> int:
    """Policies that play for a choice; a search that is over has added its own."""
    contested = [entrant for entrant in entrants if entrant.mode == "tuned" or entrant.static]
    return sum(len(entrant.candidates) for entrant in contested)
