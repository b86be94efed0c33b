"""Values of options: each reader takes the text that the user wrote, or says what is expected."""

import argparse
import math
import re
from collections.abc import Callable
from typing import Any

from autoloss_gym.tools.names import shown, unknown

from .configuration import ALGORITHMS, MOST_RUNS, MOST_STEPS

# Arguments that are text as it stands: a column may be called yes or 2020_01.
_TEXT = ("dataset", "data_dir", "target")
# A number that a task takes for the column of that name, or an own task for a number.
_PLAIN_NUMBER = re.compile(r"target=-?(0|[1-9]\d{0,8})(\.\d{0,8}[1-9])?", re.ASCII)


def key_value(text: str) -> tuple[str, Any]:
    """`name=value` with a YAML value: numbers, true, null, lists and mappings are understood.

    Names of data sets, of folders and of columns are text.
    """
    from .yaml_values import read

    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{shown(text)}: expected name=value")
    if name in _TEXT and not _PLAIN_NUMBER.fullmatch(text):
        return name, value
    try:
        return name, read(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{shown(text)}: {error}") from None


def whole(least: int, most: int) -> Callable[[str], int]:
    """A reader of integers from `least` to `most`; 1e5 and 100_000 are understood."""

    def read(text: str) -> int:
        try:
            value = float(text.replace("_", "")) if text.isascii() else math.nan
        except ValueError:
            value = math.nan
        if least <= value <= most and value == int(value):
            return int(value)
        expected = f"an integer from {least} to {most:,}"
        raise argparse.ArgumentTypeError(f"{shown(text)}: expected {expected}")

    return read


positive = whole(1, MOST_STEPS)
nonnegative = whole(0, 2**31 - 1)
few = whole(1, 1024)  # processes and threads
runs = whole(1, MOST_RUNS)


def share(text: str) -> float:
    """A number between 0 and 1, both excluded."""
    try:
        value = float(text) if text.isascii() else math.nan
    except ValueError:
        value = math.nan
    if 0 < value < 1:
        return value
    raise argparse.ArgumentTypeError(f"{shown(text)}: expected a number between 0 and 1")


def part(text: str) -> float:
    """A whole number of GPUs, or a part of one."""
    try:
        value = float(text) if text.isascii() else math.nan
    except ValueError:
        value = math.nan
    if 0 <= value <= 1 or (value <= 1024 and value == int(value)):
        return value
    raise argparse.ArgumentTypeError(
        f"{shown(text)}: expected a part of one between 0 and 1, or a whole number"
    )


def algorithm(text: str) -> str:
    """The name of an algorithm."""
    if text not in ALGORITHMS:
        raise argparse.ArgumentTypeError(unknown("algorithm", text, ALGORITHMS))
    return text
