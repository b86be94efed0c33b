"""The work of `evaluate`, once its arguments are known to be good; imports PyTorch."""

import argparse
import contextlib
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from autoloss_gym.core.task import ImageTask
from autoloss_gym.tools.files import locked

from ..environments import SEED_SPACING, EnvironmentMaker, check_data
from ..evaluation.comparison import run_benchmark
from ..evaluation.entrants import Entrant, make_entrants, warnings
from ..evaluation.reports.filming import film, winner
from ..evaluation.reports.report import save_report, text_table
from ..evaluation.results import Benchmark
from ..interruption import goes_on
from ..policies.constants import SEARCH, with_constant
from ..policies.grammar import Specification
from ..progress import Progress, show_progress
from ..run_folders import new_run_folder, removed_if_nothing_is_kept, save_command


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
    given = specifications
    specifications = given if arguments.without_constant else with_constant(given)

    def make_env(split: str) -> EnvironmentMaker:
        return EnvironmentMaker(arguments.env, {**env_kwargs, "split": split})

    task = make_env(arguments.split)(num_envs=1).task
    entrants = make_entrants(specifications, task, arguments.env, arguments.deterministic)
    with locked(_result_folder(arguments)) as folder, contextlib.ExitStack() as stack:
        if arguments.resume:
            check_data(folder, arguments.data, task)
        else:
            stack.enter_context(removed_if_nothing_is_kept(folder, "episodes/*"))
        arguments.data = task.data_digest
        save_command(folder, arguments)
        goes_on(lambda: f"{_kept(folder)}: go on with {resumption} {shlex.quote(str(folder))}")
        benchmark = _play(arguments, entrants, make_env, folder)

        title = _title(arguments, env_kwargs)
        lines = [*task.remarks(arguments.split), *warnings(entrants, env_kwargs, task)]
        if len(specifications) > len(given):
            lines.append(f"{SEARCH} was added to compare with; --without-constant leaves it out.")
        print(title)
        print(text_table(benchmark, lines))
        for path in save_report(benchmark, lines, title, folder, vars(arguments)):
            print(path)

        best = winner(benchmark, entrants)
        if isinstance(task, ImageTask) and best is not None:
            first_problem = arguments.seed * SEED_SPACING
            film(best, make_env(arguments.split), first_problem, folder)


def _play(
    arguments: argparse.Namespace,
    entrants: Sequence[Entrant],
    make_env: Callable[[str], EnvironmentMaker],
    folder: Path,
) -> Benchmark:
    """Play the benchmark; finished batches are kept in the folder."""
    with show_progress("training runs", lines=1) as progress:
        return run_benchmark(
            entrants,
            make_env,
            arguments.split,
            arguments.episodes,
            arguments.seed,
            _announcer(progress, entrants, arguments.split),
            folder / "episodes",
            arguments.num_workers,
        )


def _result_folder(arguments: argparse.Namespace) -> Path:
    """The folder that is resumed, or a new one."""
    if arguments.resume:
        return Path(arguments.resume)
    return new_run_folder(arguments.output, "", arguments.env)


def _kept(folder: Path) -> str:
    number = len(list(folder.glob("episodes/*.safetensors")))
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
