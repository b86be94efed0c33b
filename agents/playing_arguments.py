"""Arguments that say where a command plays, where it keeps what it has played, and who plays."""

import argparse
from collections.abc import Mapping
from typing import Any

from .command_line import add_num_threads
from .options import few, part, runs

# Beside --resume: the results do not depend on them.
WHO_PLAYS = ("num_workers", "cluster", "gpus_per_cell")


def add_playing_arguments(parser: argparse.ArgumentParser, output: str, what: str) -> None:
    """Where what a command plays is played and kept, and how it goes on.

    Args:
        parser: of the command.
        output: where result folders are made by default.
        what: that is resumed.
    """
    add_workers(parser, "one a core where that pays, else 1")
    add_num_threads(parser)
    add_folders(parser, output, f"go on with the {what} of that folder, with its arguments")


def add_folders(parser: argparse.ArgumentParser, output: str, resuming: str) -> None:
    """`--output` and `--resume`.

    Args:
        parser: of the command.
        output: where folders are made by default.
        resuming: what it does with a folder that there is.
    """
    parser.add_argument(
        "-o",
        "--output",
        default=output,
        help=f"where the folder is made (default: {output})",
    )
    parser.add_argument("--resume", metavar="FOLDER", help=resuming)


def add_workers(parser: argparse.ArgumentParser, default: str) -> None:
    """`--num-workers`."""
    parser.add_argument(
        "--num-workers",
        "--workers",
        type=few,
        help=f"processes that play (default: {default})",
    )


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """`--cluster` and `--gpus-per-cell`."""
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="the machines of a Ray cluster play: the address of its head, or auto for the one "
        "that this machine belongs to",
    )
    parser.add_argument(
        "--gpus-per-cell",
        type=part,
        default=0.0,
        metavar="GPUS",
        help="on a cluster, GPUs that each cell has, or its part of one, such as 0.25 (default: 0)",
    )


def add_runs_per_cell(parser: argparse.ArgumentParser) -> None:
    """`--runs-per-cell`."""
    parser.add_argument(
        "--runs-per-cell",
        type=runs,
        metavar="RUNS",
        help="training runs that are played together, and kept as one file (default: 128 to 512, "
        "fewer of large models)",
    )


def check_who_plays(arguments: argparse.Namespace, env_kwargs: Mapping[str, Any]) -> None:
    """ValueError for GPUs that nobody hands out, or that nothing would use."""
    if not arguments.gpus_per_cell:
        return
    if not arguments.cluster:
        raise ValueError(
            "--gpus-per-cell: a cluster hands out GPUs: add --cluster, or leave it out"
        )
    if "device" not in env_kwargs:
        raise ValueError(
            "--gpus-per-cell: cells would play on the processor: give the environment the argument "
            "device=auto, with which each takes the GPU that it sees"
        )


def take_who_plays(resumed: argparse.Namespace, given: argparse.Namespace) -> None:
    """Have a resumed command played by those who are named now, or else as it began."""
    resumed.num_workers = given.num_workers or resumed.num_workers
    resumed.cluster = given.cluster
    resumed.gpus_per_cell = given.gpus_per_cell
