"""The work of `advise`, once its arguments are known to be good; imports PyTorch."""

import argparse
import functools
from pathlib import Path
from typing import Any

import torch

from autoloss_gym.core.task import Task

from ..environments import EnvironmentMaker
from ..evaluation.headroom.advice import advise
from ..evaluation.headroom.measure import Headroom, Sizes, measure, moments_of
from ..evaluation.headroom.player import Player
from ..evaluation.parallelism import workers_that_pay
from ..evaluation.reports.headroom_report import save_report, text_table
from ..evaluation.store import Store
from ..evaluation.workers import worker_processes
from ..progress import show_progress
from .result_folder import result_folder, title


def measure_headroom(
    arguments: argparse.Namespace, env_kwargs: dict[str, Any], resumption: str
) -> None:
    """Measure, print the table with its recommendation, and write the files.

    Args:
        arguments: of the command.
        env_kwargs: arguments of the environment.
        resumption: the command that goes on with a folder, which follows it.
    """
    torch.set_num_threads(arguments.num_threads)
    make_env = EnvironmentMaker(arguments.env, {**env_kwargs, "split": "validation"})
    task = make_env(num_envs=1).task
    moments_of(task, tuple(arguments.moments))  # refuses bad ones before a folder is made
    if arguments.num_workers is None:
        num_runs = arguments.budget + arguments.episodes * arguments.constants
        arguments.num_workers = workers_that_pay(make_env, num_runs)
    with result_folder(arguments, task, "batches", resumption) as folder:
        headroom = _measure(arguments, env_kwargs, task, folder)

        advice = advise(headroom)
        name = title(f"Headroom of {arguments.env}", env_kwargs=env_kwargs)
        print(name)
        print(text_table(headroom, advice))
        for path in save_report(headroom, advice, name, folder, vars(arguments)):
            print(path)


def _measure(
    arguments: argparse.Namespace, env_kwargs: dict[str, Any], task: Task, folder: Path
) -> Headroom:
    """Play all there is to play; finished batches are kept in the folder."""
    sizes = Sizes(
        episodes=arguments.episodes,
        constants=arguments.constants,
        budget=arguments.budget,
        moments=tuple(arguments.moments),
        seed=arguments.seed,
    )
    draw = arguments.draw or not task.shares_blocks
    with (
        show_progress("training runs", lines=1) as progress,
        worker_processes(arguments.num_workers) as pool,
    ):

        def make_player(split: str, stage: str) -> Player:
            return Player(
                make_env=EnvironmentMaker(arguments.env, {**env_kwargs, "split": split}),
                draw=draw,
                store=Store(folder / "batches", [split, draw]),
                pool=pool,
                num_workers=arguments.num_workers,
                announce=functools.partial(progress.update, stage),
            )

        return measure(task, make_player, sizes)
