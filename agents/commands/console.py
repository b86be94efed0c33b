"""The program `autoloss`, whose first argument is a command."""

import argparse
import functools
import importlib
import sys
from collections.abc import Callable, Sequence

import autoloss_gym
from autoloss_gym.tools.names import unknown

from ..command_line import OneLineParser, main
from ..interruption import start

PROGRAM = "autoloss"
# What a command does, and the module and function that do it; they are imported when called.
COMMANDS = {
    "train": ("train an agent to steer training", "train:train"),
    "evaluate": ("compare policies on the same problems", "evaluate:evaluate"),
    "sweep": ("train every combination of settings, and compare all", "sweep:sweep"),
    "advise": ("measure whether a controller is worth training", "advise:advise"),
    "tune": ("search an algorithm's hyper-parameters", "tune:tune"),
    "export": ("write a trained controller to a file of its own", "export:export_run"),
    "list": ("print the ids of the environments", "environments:list_environments"),
    "show": ("print what an environment is and which arguments it has", "environments:show"),
}


def console() -> int:
    """Run the command that the process was called with; its exit status."""
    return start(_run)


def _run() -> int:
    first, rest = sys.argv[1:2], sys.argv[2:]
    command: str = _parser().parse_args(first).command
    program = f"{PROGRAM} {command}"
    return main(functools.partial(_load(command), rest, program), program)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} COMMAND …",
        description="Environments whose episodes are training runs.",
        epilog=_help_of_commands(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"autoloss_gym {autoloss_gym.__version__}",
    )
    parser.add_argument("command", type=_command, metavar="COMMAND", help="one of those below")
    return parser


def _command(text: str) -> str:
    if text not in COMMANDS:
        raise argparse.ArgumentTypeError(unknown("command", text, COMMANDS))
    return text


def _help_of_commands() -> str:
    lines = [f"  {name:10}{summary}" for name, (summary, _) in COMMANDS.items()]
    return "\n".join(["commands:", *lines, "", f"{PROGRAM} COMMAND --help says more."])


def _load(command: str) -> Callable[[Sequence[str], str], None]:
    """The function of a command: (arguments, name of the program) → None."""
    module, _, function = COMMANDS[command][1].partition(":")
    return getattr(importlib.import_module(f".{module}", __package__), function)


if __name__ == "__main__":
    sys.exit(console())
