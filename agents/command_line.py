"""What both commands share: arguments checked before anything slow is imported, and errors of one
line.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

import gymnasium
import yaml

import autoloss_gym  # noqa: F401 (registers the environments)
from autoloss_gym.tools.names import unknown

from .configuration import ALGORITHMS, number


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage text."""

    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: error: {message} (see --help)\n")


def refuse_beside_resume(
    parser: argparse.ArgumentParser, arguments: argparse.Namespace, allowed: tuple[str, ...]
) -> None:
    """`--resume FOLDER` stands alone: its folder says all the rest."""
    given = [
        n
        for n, v in vars(arguments).items()
        if n not in ("resume", *allowed) and v != parser.get_default(n)
    ]
    if given:
        parser.error(
            f"--resume reads all arguments from the folder: leave out --{given[0].replace('_', '-')}"
        )


def key_value(text: str) -> tuple[str, Any]:
    """`name=value` with a YAML value: numbers, true, null, lists and mappings are understood."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r}: expected name=value")
    try:
        return name, number(yaml.safe_load(value))
    except yaml.YAMLError:
        raise argparse.ArgumentTypeError(f"{text!r}: the value is not valid YAML") from None


def environment_arguments(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """`--env-kwargs` as a mapping, without what the commands decide themselves."""
    reserved = (
        "split",
        "num_envs",
        "array",
        "autoreset_mode",
        "vectorization_mode",
        "render_mode",
        "task",
        "wrappers",
    )
    for name, _ in pairs:
        if name in reserved:
            raise ValueError(
                f"--env-kwargs {name}=…: the commands set {name} themselves; see --help for what they offer"
            )
    return dict(pairs)


def positive(text: str) -> int:
    """A positive integer; 1e5 and 100_000 are understood."""
    try:
        value = float(text.replace("_", ""))
    except ValueError:
        value = 0
    if value < 1 or value != int(value):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a positive integer")
    return int(value)


def nonnegative(text: str) -> int:
    """An integer of at least 0."""
    value = 0 if text == "0" else positive(text)
    if value >= 2**31:
        raise argparse.ArgumentTypeError(f"{text!r}: expected less than 2**31")
    return value


def algorithm(text: str) -> str:
    """The name of an algorithm."""
    if text not in ALGORITHMS:
        raise argparse.ArgumentTypeError(unknown("algorithm", text, ALGORITHMS))
    return text


def check_environment(id: str) -> None:
    """Import the module of "module:id", and check that an environment of this package has that id."""
    module, colon, name = id.rpartition(":")
    sys.path.insert(0, os.getcwd())
    if colon:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ValueError(f"--env {id}: cannot import module {module!r} ({error})") from None
    ours = [
        spec.id
        for spec in gymnasium.registry.values()
        if spec.entry_point == "autoloss_gym.environment.env:AutoLossEnv"
    ]
    if name not in ours:
        raise ValueError(f"--env: {unknown('environment', name, ours)}")


def main(run: Callable[[], None]) -> int:
    """Run a command; bad input becomes one line on stderr and exit status 2, an interrupt 130."""
    try:
        run()
    except (ValueError, OSError, gymnasium.error.Error) as error:
        print(
            f"{os.path.basename(sys.argv[0])}: error: {' '.join(str(error).split())}",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0
