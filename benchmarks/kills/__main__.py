"""Kill trainings and evaluations, again and again, and see what is left and what is lost.

    python -m benchmarks.kills                    # 20 kills of each kind
    python -m benchmarks.kills workers weights    # two of the kinds

random   a training and an evaluation, killed with 9 after random times and resumed each time
workers  evaluations with workers, after random times: 9 or 15 to the parent, or Ctrl-C to all
weights  trainings, killed with 9 between a checkpoint and the weights that belong to it

The processes that live on are counted in /proc, so the workers need Linux.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from agents.command_line import OneLineParser, main
from agents.options import positive
from benchmarks.kills import random_moments, weights, workers

KINDS = {
    "random": random_moments.reports,
    "workers": workers.reports,
    "weights": weights.reports,
}


def run() -> None:
    parser = OneLineParser(
        prog="python -m benchmarks.kills",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="by default all")
    parser.add_argument("--kills", type=positive, default=20, help="of each (default: 20)")
    arguments = parser.parse_args()
    for kind in arguments.kinds:
        if kind not in KINDS:
            parser.error(f"unknown kind {kind!r}: expected some of {', '.join(KINDS)}")
    for kind in arguments.kinds or KINDS:
        with TemporaryDirectory() as folder:
            for line in KINDS[kind](arguments.kills, Path(folder)):
                print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(run, "python -m benchmarks.kills"))
