"""Quadratics whose step size is chosen: batched against one by one, and the cost of derivatives.

    python -m benchmarks.step_sizes    # one thread; turns alternate

A quadratic is 80 updates of `QuadraticStepSize`, 20 dimensions, float32. "with derivative" adds
that of the log objective by each one's step size. Then the memory of 4,096 quadratics with their
derivatives: how far the resident memory of a new process rises above that after the reset.
"""

import argparse
import multiprocessing
import sys
from pathlib import Path
from typing import Literal

import torch

from agents.command_line import OneLineParser, main
from agents.learners.meta_gradients.options import MetaGradientOptions
from agents.learners.meta_gradients.unrolling import meta_gradient
from agents.options import positive
from autoloss_gym import random
from autoloss_gym.core.state import Keys
from autoloss_gym.core.task import Control
from autoloss_gym.tasks.step_sizes.quadratic import QuadraticStepSize
from benchmarks.memory import resident_mebibytes
from benchmarks.sides import Side, measure, report

TASK = QuadraticStepSize(learning_rate=0.01)
Way = Literal["forward", "backward"]


def keys(count: int) -> Keys:
    problem = torch.arange(count, dtype=torch.int64, device="cpu")
    return Keys(problem=problem, run=random.fold_in(problem, "run"))


@torch.no_grad()
def descend(count: int) -> None:
    """Reset so many quadratics and play them to their end."""
    state = TASK.reset(keys(count))
    ones = torch.ones(count, 1, dtype=torch.float32, device="cpu")
    control = Control(weights=ones, step_size=ones[:, 0])
    for _ in range(TASK.max_steps):
        state, _ = TASK.update(state, control)


def differentiate(count: int, way: Way) -> None:
    """The same, with the derivative of each one's log objective by its step size."""
    numbers = torch.zeros(count, 1, dtype=torch.float32, device="cpu")
    meta_gradient(TASK, keys(count), numbers, MetaGradientOptions(differentiation=way))


def played(count: int, rounds: int, way: Way | None = None) -> Side:
    """So many quadratics at once, `rounds` times."""

    def play() -> int:
        for _ in range(rounds):
            if way is None:
                descend(count)
            else:
                differentiate(count, way)
        return count * rounds

    return play


def peak_mebibytes(way: Way, count: int) -> float:
    """Rise of the resident memory, to be called in a new process."""
    torch.set_num_threads(1)
    differentiate(2, way)
    state = TASK.reset(keys(count))
    before = resident_mebibytes()
    del state
    differentiate(count, way)
    # Not `ru_maxrss`, into which Linux counts the parent that was forked.
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 2**10 - before


def run() -> None:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--num-envs", type=positive, default=4096, help="at once (default: 4096)")
    parser.add_argument("--turns", type=positive, default=10, help="measured turns (default: 10)")
    parser.add_argument("--singles", type=positive, default=20, help="of a turn (default: 20)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    count = arguments.num_envs
    sides = {
        "one by one": played(1, arguments.singles),
        "64 at once": played(64, 1),
        f"{count:,} at once": played(count, 1),
        f"{count:,} at once, with derivative, backward": played(count, 1, "backward"),
        f"{count:,} at once, with derivative, forward": played(count, 1, "forward"),
    }
    print(report("quadratics", measure(sides, arguments.turns)).replace("steps a", "quadratics a"))
    context = multiprocessing.get_context("spawn")
    for way in ("backward", "forward"):
        with context.Pool(1) as pool:
            rise = pool.apply(peak_mebibytes, (way, count))
        print(f"{count:,} quadratics with derivatives, {way}: {rise:.0f} MiB above the start")


if __name__ == "__main__":
    sys.exit(main(run))
