"""What it gains to play known controls as one program: `rollout` against `step_control`.

    python -m benchmarks.rollouts                   # 64 runs, eager and compiled
    python -m benchmarks.rollouts --num-envs 512    # as many runs as an evaluation plays at once

And what it gains that copies of a run draw their data once (24 copies of each problem).
"""

import argparse
import sys

import numpy as np
import torch

from agents.command_line import OneLineParser, main
from agents.options import positive
from autoloss_gym import AutoLossVectorEnv, Control
from autoloss_gym.tasks.supervised.mlp_classification import MLPClassification
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from benchmarks.sides import Side, measure, report, segments

_COPIES = 24


def one_by_one(num_envs: int, compile: bool) -> Side:
    """The controls of an episode by `step_control`."""
    envs, controls = _episode(num_envs, compile)

    def play() -> int:
        for control in controls:
            envs.step_control(control)
        return len(controls) * num_envs

    return play


def resets(num_envs: int, copies: int) -> Side:
    """Resets of classification problems, each for so many copies; a run counts as one step."""
    envs = AutoLossVectorEnv(MLPClassification(), num_envs)
    seeds = np.repeat(np.arange(num_envs // copies), copies)

    def play() -> int:
        nonlocal seeds
        seeds = seeds + num_envs
        envs.reset(seed=seeds.tolist())
        return num_envs

    return play


def _episode(num_envs: int, compile: bool) -> tuple[AutoLossVectorEnv, list[Control]]:
    envs = AutoLossVectorEnv(QuadraticRegression(), num_envs, compile=compile)
    envs.reset(seed=0)
    generator = torch.Generator().manual_seed(0)
    controls = []
    for _ in range(envs.task.max_steps):
        weights = torch.rand(num_envs, 2, generator=generator)
        controls.append(Control(weights=weights, step_size=weights[:, 0] + 0.5))
    return envs, controls


def run() -> None:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--num-envs", type=positive, default=64, help="runs (default: 64)")
    parser.add_argument("--turns", type=positive, default=7, help="of each (default: 7)")
    parser.add_argument("--eager", action="store_true", help="leave out what is compiled")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sides: dict[str, Side] = {}
    for compile in (False,) if arguments.eager else (False, True):
        name = "compiled" if compile else "eager"
        sides[f"{name}, update by update"] = one_by_one(arguments.num_envs, compile)
        sides[f"{name}, rollout"] = segments(*_episode(arguments.num_envs, compile))
    print(report(f"regression, {arguments.num_envs} runs", measure(sides, arguments.turns)))
    count = max(1, arguments.num_envs // _COPIES) * _COPIES
    begun = {"other problems": resets(count, 1), f"{_COPIES} copies": resets(count, _COPIES)}
    print("\n" + report(f"resets of {count} classifications", measure(begun, arguments.turns)))


if __name__ == "__main__":
    sys.exit(main(run))
