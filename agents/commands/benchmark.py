"""The work of `evaluate`, once its arguments are known to be good; imports PyTorch."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from autoloss_gym.core.task import ImageTask

from ..environments import SEED_SPACING, EnvironmentMaker
from ..evaluation.comparison import run_benchmark
from ..evaluation.entrants import Entrant, make_entrants, most_runs, num_candidates, warnings
from ..evaluation.parallelism import workers_that_pay
from ..evaluation.reports.filming import film, winner
from ..evaluation.reports.report import save_report, text_table
from ..evaluation.rollout import PlayBatches, here
from ..evaluation.rows import Benchmark
from ..playing_arguments import WHO_PLAYS
from ..policies.constants import SEARCH, with_constant
from ..policies.grammar import Specification
from ..progress import Progress, show_progress
from ..sweeps.crews import Crew, Here, crew_of
from ..sweeps.evaluations import CellPlayer
from ..sweeps.recipes import Recipes
from .result_folder import result_folder, title


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
    if arguments.cluster:
        arguments.num_workers = 1  # beside the cluster's
    elif arguments.num_workers is None:
        num_runs = most_runs(entrants, arguments.episodes)
        arguments.num_workers = workers_that_pay(make_env(arguments.split), num_runs)
    with result_folder(arguments, task, "episodes", resumption) as folder:
        num_gpus = arguments.gpus_per_cell
        with crew_of(arguments.num_workers, arguments.cluster, num_gpus) as crew:
            benchmark = play_benchmark(arguments, entrants, make_env, folder / "episodes", crew)

        name = title(arguments.env, f"{arguments.split} split", env_kwargs=env_kwargs)
        lines = [*task.remarks(arguments.split), *warnings(entrants, env_kwargs, task)]
        if len(specifications) > len(given):
            lines.append(f"{SEARCH} was added to compare with; --without-constant leaves it out.")
        print(name)
        print(text_table(benchmark, lines))
        for path in save_report(benchmark, lines, name, folder, _kept(arguments)):
            print(path)

        best = winner(benchmark, entrants)
        if isinstance(task, ImageTask) and best is not None:
            first_problem = arguments.seed * SEED_SPACING
            film(best, make_env(arguments.split), first_problem, folder)


def _kept(arguments: argparse.Namespace) -> dict[str, Any]:
    """The arguments that the results depend on, in an order that a resumed command has too."""
    others = (*WHO_PLAYS, "resume", "trust_checkpoint")
    return {name: value for name, value in sorted(vars(arguments).items()) if name not in others}


def play_benchmark(
    arguments: argparse.Namespace,
    entrants: Sequence[Entrant],
    make_env: Callable[[str], EnvironmentMaker],
    folder: Path,
    crew: Crew,
) -> Benchmark:
    """Play the benchmark, and show how far it is.

    Args:
        arguments: split, episodes, seed, deterministic and runs_per_cell, as of the command.
        entrants: what is compared.
        make_env: split → what makes its environments.
        folder: keeps finished batches.
        crew: who plays.
    """
    with show_progress("training runs", lines=1) as progress:
        return run_benchmark(
            entrants,
            make_env,
            arguments.split,
            arguments.episodes,
            arguments.seed,
            _announcer(progress, entrants, arguments.split),
            folder,
            _playing(arguments, crew, entrants),
            arguments.runs_per_cell,
        )


def _playing(arguments: argparse.Namespace, crew: Crew, entrants: Sequence[Entrant]) -> PlayBatches:
    """How batches are played: in this process with the policies that it has, else as cells."""
    if isinstance(crew, Here):
        return here
    return CellPlayer(crew, Recipes(entrants), arguments.deterministic)


def _announcer(
    progress: Progress, entrants: Sequence[Entrant], split: str
) -> Callable[[str, int, int], None]:
    """Shows the stages of the benchmark in words: (stage, done, total) → None."""

    def describe(stage: str) -> str:
        if stage == "search":
            return "searching a schedule on training problems"
        if stage == "choice":
            return f"choosing on validation problems among {num_candidates(entrants)} candidates"
        if stage == split:
            return f"playing the {split} problems with {len(entrants)} policies"
        return stage

    def announce(stage: str, done: int, total: int) -> None:
        progress.update(describe(stage), done, total)

    return announce
