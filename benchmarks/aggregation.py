"""What weights from the gradients of the step cost: policies in turns with fixed weights.

    python -m benchmarks.aggregation                             # 1, 8 and 64 runs
    python -m benchmarks.aggregation --num-envs 64 --policies pcgrad mgda

On the sparse autoencoder, whose two losses share the encoder, and on a regression. Aggregators need
the extra mtl.
"""

import argparse
import sys

import numpy as np
import torch

from agents.command_line import OneLineParser, main
from agents.evaluation.entrants import make_entrant
from agents.options import positive
from agents.policies.grammar import parse_specification
from autoloss_gym import AutoLossVectorEnv, Control, Task
from autoloss_gym.tasks.images.sparse_autoencoder import SparseAutoencoder
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from benchmarks.sides import Side, measure, report

_TASKS = {"sparse autoencoder": SparseAutoencoder, "regression": QuadraticRegression}
_REFERENCE = "fixed:1"
_POLICIES = ("pcgrad", "mgda", "imtl_g", "aligned_mtl", "upgrad", "cagrad", "nash_mtl", "annealing")


def playing(text: str, task: Task, num_envs: int, steps: int) -> Side:
    """An environment whose runs a policy steers for so many updates a turn."""
    (policy,) = make_entrant(parse_specification(text), task, "").candidates
    envs = AutoLossVectorEnv(task, num_envs)
    observations, infos = envs.reset(seed=0)
    policy.reset(np.arange(num_envs))
    latest = {"observations": observations, "infos": infos}

    def play() -> int:
        for _ in range(steps):
            control = policy.act(latest["observations"], latest["infos"])
            assert isinstance(control, Control)
            latest["observations"], *_, latest["infos"] = envs.step_control(control)
        return steps * num_envs

    return play


def run() -> None:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--num-envs", type=positive, nargs="+", default=[1, 8, 64])
    parser.add_argument("--policies", nargs="+", default=list(_POLICIES))
    parser.add_argument("--steps", type=positive, default=50, help="in a turn (default: 50)")
    parser.add_argument("--turns", type=positive, default=7, help="of each (default: 7)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name, task in _TASKS.items():
        for num_envs in arguments.num_envs:
            sides = {}
            for text in (_REFERENCE, *arguments.policies):
                sides[text] = playing(text, task(), num_envs, arguments.steps)
            rates = measure(sides, arguments.turns)
            print(report(f"{name}, {num_envs} runs", rates) + "\n", flush=True)


if __name__ == "__main__":
    sys.exit(main(run))
