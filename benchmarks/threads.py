"""What a second PyTorch thread gains: the same batch on one thread and on more, by turns.

    python -m benchmarks.threads
    python -m benchmarks.threads regression --num-envs 65536 --num-threads 1 2 4 8

A side steps a vector environment of its own, with random pairs; the clock is the wall's.
"""

import argparse
import sys

import torch

from agents.command_line import OneLineParser, main
from agents.options import few, positive
from autoloss_gym.core.task import Task
from autoloss_gym.tasks.images.sparse_autoencoder import SparseAutoencoder
from autoloss_gym.tasks.supervised.mlp_classification import MLPClassification
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from autoloss_gym.tools.names import unknown
from benchmarks.sides import Side, batched, measure, report

TASKS: dict[str, Task] = {
    "regression": QuadraticRegression(),
    "classification": MLPClassification(),
    "sparse autoencoder": SparseAutoencoder(),
}


def on_threads(num_threads: int, play: Side) -> Side:
    """A side that plays on so many threads."""

    def play_on_threads() -> int:
        torch.set_num_threads(num_threads)
        return play()

    return play_on_threads


def run() -> None:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"of {', '.join(TASKS)}")
    parser.add_argument("--num-envs", type=positive, nargs="+", default=[512, 4096])
    parser.add_argument("--num-threads", type=few, nargs="+", default=[1, 2])
    parser.add_argument("--turns", type=positive, default=5, help="default: 5")
    parser.add_argument(
        "--updates", type=positive, default=20_000, help="of all runs in a turn (default: 20000)"
    )
    arguments = parser.parse_args()
    for name in arguments.tasks:
        if name not in TASKS:
            parser.error(unknown("task", name, TASKS))
    for name in arguments.tasks or TASKS:
        for num_envs in arguments.num_envs:
            steps = max(2, arguments.updates // num_envs)
            sides = {}
            for count in arguments.num_threads:
                label = f"{count} thread{'s' * (count > 1)}"
                sides[label] = on_threads(count, batched(TASKS[name], num_envs, steps, "cpu"))
            rates = measure(sides, arguments.turns)
            print(report(f"{name}, {num_envs} runs", rates), end="\n\n", flush=True)


if __name__ == "__main__":
    sys.exit(main(run))
