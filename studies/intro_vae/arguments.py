"""Command line of the study."""

import argparse

from agents.command_line import command_parser
from agents.options import positive
from studies.arguments import add_folders
from studies.intro_vae.settings import POINTS


def parse_arguments(description: str) -> argparse.Namespace:
    parser = command_parser(None, description)
    parser.add_argument("--preset", default="faces", help="of the task (default: faces)")
    parser.add_argument(
        "--steps",
        type=positive,
        default=1500,
        metavar="T",
        help="of both players, a multiple of 12 and of the preset's validate_every; where one "
        "moves at a time, 2 T (default: 1500)",
    )
    parser.add_argument(
        "--seeds", type=positive, default=5, help="runs of each policy (default: 5)"
    )
    parser.add_argument(
        "--validation-seeds",
        type=positive,
        default=2,
        help="runs of each setting of the grid (default: 2)",
    )
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="those of the table, and no page")
    parser.add_argument(
        "--num-workers", type=positive, default=1, help="processes that play (default: 1)"
    )
    parser.add_argument("--device", help="such as cuda, for preset faces64 (default: the CPU)")
    parser.add_argument("--quick", action="store_true", help="few, small and short runs on digits")
    add_folders(parser, "intro_vae")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.preset, arguments.steps, arguments.seeds = "digits", POINTS, 2
    if arguments.steps % POINTS:
        parser.error(f"--steps {arguments.steps}: expected a multiple of {POINTS}")
    return arguments
