"""The folder in which a command that plays keeps what it has played, and goes on after a kill."""

import argparse
import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autoloss_gym.core.task import Task
from autoloss_gym.tools.files import locked

from ..environments import check_data
from ..interruption import goes_on
from ..run_folders import new_run_folder, removed_if_nothing_is_kept, save_command


@contextlib.contextmanager
def result_folder(
    arguments: argparse.Namespace,
    task: Task,
    batches: str,
    resumption: str,
    unit: tuple[str, str] = ("batch", "batches"),
) -> Iterator[Path]:
    """The folder that is resumed, or a new one; no other process uses it inside the block.

    Args:
        arguments: of the command, which are kept.
        task: whose data must be those that the folder began with.
        batches: the folder in it that holds finished batches.
        resumption: the command that goes on with a folder, which follows it.
        unit: what such a batch is called, and several of them.
    """
    resumed = Path(arguments.resume) if arguments.resume else None
    folder = resumed or new_run_folder(arguments.output, "", arguments.env)
    with locked(folder), contextlib.ExitStack() as stack:
        if resumed:
            check_data(folder, arguments.data, task)
        else:
            stack.enter_context(removed_if_nothing_is_kept(folder, f"{batches}/*"))
        arguments.data = task.data_digest
        save_command(folder, arguments)

        def said() -> str:
            count = len(list(folder.glob(f"{batches}/[!.]*")))
            holds = f"{count} finished {unit[count != 1]}"
            return f"{folder} holds {holds}: go on with {resumption} {shlex.quote(str(folder))}"

        goes_on(said)
        yield folder


def title(*parts: str, env_kwargs: dict[str, Any]) -> str:
    """The parts, and then the arguments of the environment."""
    return ", ".join([*parts, *(f"{name}={value}" for name, value in env_kwargs.items())])
