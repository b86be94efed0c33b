"""Command line of the study."""

import argparse

from agents.command_line import command_parser
from agents.options import positive, whole
from studies.arguments import add_folders
from studies.translation.settings import PRESETS, TRAINED

WORK = ("untrained", *TRAINED)  # parts of the work that may be done by themselves
_FEWEST_RUNS = 240  # a generation of the group's search, its measurement, and some updates


def parse_arguments(description: str) -> argparse.Namespace:
    parser = command_parser(None, description)
    _add_problems(parser)
    _add_sizes(parser)
    _add_work(parser)
    arguments = parser.parse_args()
    left = sorted(set(arguments.learned_budgets) - set(arguments.budgets))
    if left and not arguments.quick:
        parser.error(f"--learned-budgets {left[0]}: expected some of --budgets; add it there")
    return arguments


def _add_problems(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", choices=PRESETS, default=PRESETS[0], help="of the task")
    parser.add_argument(
        "--budgets",
        type=positive,
        nargs="+",
        default=[300, 600, 1200],
        metavar="T",
        help="updates of a run (default: 300 600 1200)",
    )
    parser.add_argument(
        "--learned-budgets",
        type=positive,
        nargs="*",
        default=[600],
        metavar="T",
        help="those at which learners are trained and open loops searched (default: 600)",
    )
    parser.add_argument(
        "--learners",
        nargs="+",
        choices=TRAINED,
        default=list(TRAINED),
        help=f"which of them: {', '.join(TRAINED)} (default: all)",
    )


def _add_work(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--only",
        nargs="+",
        choices=WORK,
        metavar="PART",
        help=f"do this part of the work and make no tables: {', '.join(WORK)}",
    )
    parser.add_argument("--processes", type=positive, default=2, help="at once (default: 2)")
    parser.add_argument("--quick", action="store_true", help="few, small and short runs")
    add_folders(parser, "translation")


def _add_sizes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--without-rules",
        dest="rules",
        action="store_false",
        help="leave out the weighting rules: SoftAdapt, uncertainties, GradNorm",
    )
    parser.add_argument("--problems", type=positive, default=100, help="unseen ones (default: 100)")
    parser.add_argument(
        "--choosing", type=positive, default=20, help="validation problems (default: 20)"
    )
    parser.add_argument(
        "--seeds", type=positive, default=5, help="trainings of a learner (default: 5)"
    )
    parser.add_argument(
        "--training-runs",
        type=whole(_FEWEST_RUNS, 1_000_000),
        default=960,
        metavar="N",
        help="of each training and of each search; multiples of 480 are spent to the last one "
        "(default: 960)",
    )
