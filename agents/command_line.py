"""Tools that the commands share: arguments are checked before anything slow is imported, and an
error is one line.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

from autoloss_gym.registration import OLDER
from autoloss_gym.tools.arguments import unexpected
from autoloss_gym.tools.memory import is_out_of_memory
from autoloss_gym.tools.names import one_line, unknown
from autoloss_gym.tools.signatures import environment_signature, task_signature

from .interruption import Interrupted, interruptible
from .options import few, key_value, nonnegative

ENVIRONMENT = "autoloss_gym.environment.env:AutoLossEnv"
# Arguments of the environment that the commands set.
_RESERVED = (
    "split",
    "num_envs",
    "array",
    "autoreset_mode",
    "vectorization_mode",
    "render_mode",
    "task",
    "wrappers",
    "vector_kwargs",
    "id",
    "self",
)
_LONGEST = 2000  # characters of an error


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage text."""

    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: error: {one_line(message, _LONGEST)} (see --help)\n")


def command_parser(program: str | None, description: str) -> OneLineParser:
    """A parser whose description keeps its lines.

    Args:
        program: its name in help and errors, by default that of the script.
        description: where it says `{command}`, it will say how the program is called.
    """
    program = program or Path(sys.argv[0]).name
    command = f"python {program}" if program.endswith(".py") else program
    return OneLineParser(
        prog=program,
        description=description.replace("{command}", command),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_environment(parser: argparse.ArgumentParser) -> None:
    """`--env` and `--env-kwargs`."""
    parser.add_argument("--env", help="environment id, or module:id where the module registers it")
    add_environment_arguments(parser)


def add_environment_arguments(parser: argparse.ArgumentParser) -> None:
    """`--env-kwargs`."""
    parser.add_argument(
        "--env-kwargs",
        type=key_value,
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="arguments of the environment and its task",
    )


def add_num_threads(parser: argparse.ArgumentParser) -> None:
    """`--num-threads`."""
    parser.add_argument("--num-threads", type=few, default=1, help="PyTorch threads (default: 1)")


def add_problem_seed(parser: argparse.ArgumentParser) -> None:
    """`--seed` of a command that learns nothing."""
    parser.add_argument(
        "--seed", type=nonnegative, default=0, help="numbers the problems (default: 0)"
    )


def refuse_beside_resume(
    parser: argparse.ArgumentParser, arguments: argparse.Namespace, allowed: tuple[str, ...]
) -> None:
    """An error for any argument beside `--resume FOLDER`, whose folder knows all the others."""
    for name, value in vars(arguments).items():
        if name in ("resume", *allowed) or value == parser.get_default(name):
            continue
        flag = "--" + name.replace("_", "-")
        parser.error(f"--resume reads all arguments from the folder: leave out {flag}")


def environment_arguments(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """`--env-kwargs` as a mapping; ValueError for what the commands set themselves."""
    for name, _ in pairs:
        if name in _RESERVED:
            raise ValueError(
                f"--env-kwargs {name}=…: the commands set {name} themselves; "
                "see --help for what they offer"
            )
    return dict(pairs)


def environment_ids() -> list[str]:
    """The ids of this package's environments, the latest version of each.

    Importing anything of the package registers them.
    """
    return [id for id in _registered() if id not in OLDER]


def _registered() -> list[str]:
    specs = gymnasium.registry.values()
    return [spec.id for spec in specs if spec.entry_point == ENVIRONMENT]


def find_modules_in_working_folder() -> None:
    """Let modules that the user names be in the working folder.

    It is searched last, so that none of its files takes the place of a library.
    """
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def check_environment(id: str) -> EnvSpec:
    """Import the module of "module:id", and return what is registered under the id.

    Raises:
        ValueError: the module cannot be imported, or no environment of this package has that id.
    """
    module, colon, name = id.rpartition(":")
    if colon:
        find_modules_in_working_folder()
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ValueError(
                f"environment {id!r}: cannot import module {module!r} ({error})"
            ) from None
    if name not in _registered():
        own = "" if colon else "; one of yours is named with its module, my_module:My/Task-v0"
        raise ValueError(unknown("environment", name, environment_ids()) + own)
    return gymnasium.spec(name)


def check_resumed_environment(stored: str, given: str | None) -> None:
    """Refuse to import a module that only a folder names.

    Args:
        stored: id of the environment as the resumed folder has it.
        given: what `--env` says, if it is given.

    Raises:
        ValueError: the id names a module and was not given, or another one was.
    """
    if given is not None and given != stored:
        raise ValueError(f"--env {given}: the folder is of {stored}; leave out --env")
    module, colon, _ = stored.rpartition(":")
    if colon and given is None:
        raise ValueError(
            f"the folder names the module {module!r}, and importing it runs code; "
            f"if you trust it, say so with --env {stored}"
        )


def check_arguments(spec: EnvSpec, given: Mapping[str, Any]) -> None:
    """ValueError for an argument that neither the environment nor its task has.

    It answers at once for the tasks of this package, whose source is read instead of imported. For
    other tasks the environment says the same when it is made.
    """
    task = spec.kwargs["task"]
    if not task.startswith("autoloss_gym."):
        return
    signature = task_signature(task)
    # Their order is that of the environment's own error.
    known = [*signature.arguments, *environment_signature().arguments, "learning_rate"]
    for name in given:
        if name not in known:
            kind = f"argument of the environment or of {signature.name}"
            raise unexpected(kind, name, known)
    preset = given.get("preset")
    if preset is not None and preset not in signature.presets:
        raise ValueError(unknown("preset", preset, signature.presets))


def main(run: Callable[[], None], program: str | None = None) -> int:
    """Run a command; bad input becomes one line on stderr and exit status 2.

    A signal that ends it is one line, too, and a status of 128 and its number.

    Args:
        run: the command.
        program: its name in errors, by default that of the script.
    """
    try:
        with interruptible(program):
            run()
    except (ValueError, OSError, gymnasium.error.Error) as error:
        return _refuse(str(error), program)
    except (OverflowError, MemoryError, RuntimeError) as error:
        if not (isinstance(error, OverflowError | RecursionError) or is_out_of_memory(error)):
            raise
        return _refuse(f"the arguments ask for too much: {type(error).__name__} {error}", program)
    except Interrupted as interrupted:
        return interrupted.status
    return 0


def _refuse(reason: str, program: str | None) -> int:
    """Say in one line why, and return the exit status."""
    name = program or Path(sys.argv[0]).name
    print(f"{name}: error: {one_line(reason, _LONGEST)}", file=sys.stderr)
    return 2
