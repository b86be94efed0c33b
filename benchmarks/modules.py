"""Steps a second of `from_module` against a plain PyTorch loop that trains one model.

    python -m benchmarks.modules                        # all cases, 1, 8 and 64 runs
    python -m benchmarks.modules CNN GAN --turns 20

Both sides take turns on one thread and make the same updates: the losses in turn, batches of 32
digits drawn with replacement, Adam. The environment's side also measures gradient norms, makes
observations and rewards, and validates. The table has the ratio of training steps a second within
a turn: mean, its 95 % interval (Student's t over the turns), and the number of turns.
"""

import argparse
import sys
from typing import Any

import numpy as np
import torch
from scipy import stats

from agents.command_line import OneLineParser, main
from agents.options import positive
from autoloss_gym import AutoLossVectorEnv, ModuleTask
from autoloss_gym.tools import tree
from autoloss_gym.tools.names import unknown
from benchmarks.module_cases import CASES, digits, users_lines
from benchmarks.sides import Side, measure
from studies.markdown import table

STEPS = 30  # of a run in a turn
PLAIN = "plain"


def plain_loop(task: ModuleTask, data: dict[str, Any]) -> Side:
    """The loop that a user would write: one model, one optimizer for each block."""
    model = task.factory()
    parameters = dict(model.named_parameters())
    optimizers = {
        block: torch.optim.Adam([parameters[name] for name in names], lr=1e-3)
        for block, names in task.blocks
    }
    losses = dict(task.functions)

    def play() -> int:
        for step in range(STEPS):
            pair = task.pairs[step % 2]
            rows = torch.randint(len(data["digit"]), (32,))
            batch = tree.map_tensors(lambda leaf: leaf[rows], data)  # noqa: B023
            for optimizer in optimizers.values():
                optimizer.zero_grad()
            losses[pair.loss](model, batch).backward()
            for block in pair.blocks:
                optimizers[block].step()
        return STEPS

    return play


def environment(task: ModuleTask, num_envs: int) -> Side:
    """The vector environment, all of whose runs choose the same loss."""
    envs = AutoLossVectorEnv(task, num_envs)
    envs.reset(seed=0)

    def play() -> int:
        for step in range(STEPS):
            envs.step(np.full(num_envs, step % 2))
        return STEPS * num_envs

    return play


def ratio(values: np.ndarray) -> str:
    """Mean and 95 % interval of the mean."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.2f} [{values.mean() - half:.2f}, {values.mean() + half:.2f}]"


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", help=f"{', '.join(CASES)} (default: all)"
    )
    parser.add_argument("--num-envs", type=positive, nargs="+", default=[1, 8, 64])
    parser.add_argument("--turns", type=positive, default=10, help="at least 2 (default: 10)")
    arguments = parser.parse_args()
    for name in arguments.cases:
        if name not in CASES:
            parser.error(unknown("case", name, CASES))
    return arguments


def run() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(1)
    data = digits()
    rows = []
    for name in arguments.cases or CASES:
        # Episodes are longer than the measurement, so that no reset is in it.
        task = CASES[name](data, max_steps=10**6, validate_every=10**3)
        sides = {PLAIN: plain_loop(task, data)}
        sides |= {str(count): environment(task, count) for count in arguments.num_envs}
        rates = measure(sides, arguments.turns)
        row = [name, str(users_lines(CASES[name])), f"{np.median(rates[PLAIN]):,.0f}"]
        row += [ratio(rates[str(count)] / rates[PLAIN]) for count in arguments.num_envs]
        rows.append(row)
    runs = [f"{count} run{'s' if count > 1 else ''}" for count in arguments.num_envs]
    header = ["training", "lines of the user's part", "plain steps a second", *runs]
    print(table(header, rows, num_left=1))
    print(f"n = {arguments.turns} turns of {STEPS} steps a run, {torch.get_num_threads()} thread")


if __name__ == "__main__":
    sys.exit(main(run))
