"""The work of `advise`, once its arguments are known to be good; imports PyTorch."""

import argparse
import contextlib
import functools
import shlex
from pathlib import Path
from typing import Any

import torch

from autoloss_gym.core.task import Task
from autoloss_gym.tools.files import locked

from ..environments import EnvironmentMaker, check_data
from ..evaluation.headroom.advice import advise
from ..evaluation.headroom.measure import Headroom, Sizes, measure, moments_of
from ..evaluation.headroom.player import Player
from ..evaluation.reports.headroom_report import save_report, text_table
from ..evaluation.store import Store
from ..evaluation.workers import worker_processes
from ..interruption import goes_on
from ..progress import show_progress
from ..run_folders import new_run_folder, removed_if_nothing_is_kept, save_command


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
    envs = EnvironmentMaker(arguments.env, {**env_kwargs, "split": "validation"})(num_envs=1)
    task = envs.task
    moments_of(task, tuple(arguments.moments))  # refuses bad ones before a folder is made
    with locked(_result_folder(arguments)) as folder, contextlib.ExitStack() as stack:
        if arguments.resume:
            check_data(folder, arguments.data, task)
        else:
            stack.enter_context(removed_if_nothing_is_kept(folder, "batches/*"))
        arguments.data = task.data_digest
        save_command(folder, arguments)
        goes_on(lambda: f"{_kept(folder)}: go on with {resumption} {shlex.quote(str(folder))}")
        headroom = _measure(arguments, env_kwargs, task, folder)

        advice = advise(headroom)
        title = _title(arguments, env_kwargs)
        print(title)
        print(text_table(headroom, advice))
        for path in save_report(headroom, advice, title, folder, vars(arguments)):
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


def _result_folder(arguments: argparse.Namespace) -> Path:
    """The folder that is resumed, or a new one."""
    if arguments.resume:
        return Path(arguments.resume)
    return new_run_folder(arguments.output, "", arguments.env)


def _kept(folder: Path) -> str:
    number = len(list(folder.glob("batches/*.safetensors")))
    return f"{folder} holds {number} finished {'batch' if number == 1 else 'batches'}"


def _title(arguments: argparse.Namespace, env_kwargs: dict[str, Any]) -> str:
    parts = [f"Headroom of {arguments.env}"]
    parts += [f"{name}={value}" for name, value in env_kwargs.items()]
    return ", ".join(parts)
