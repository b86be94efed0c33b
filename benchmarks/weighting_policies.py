"""Time that each weighting rule adds to a step of an environment, against equal weights.

    python -m benchmarks.weighting_policies                      # PINN-v0 at 1, 8 and 64 runs
    python -m benchmarks.weighting_policies --env AutoLoss/MLPClassification-v1 --preset mixture

Every rule plays runs of its own with its default arguments; turns alternate, one thread, processor
time. A ratio of 1.10 is a step that takes 10 % longer.
"""

import argparse
import sys
import time

import numpy as np
import torch

from agents.command_line import OneLineParser, main
from agents.environments import EnvironmentMaker
from agents.options import positive
from agents.policies.grammar import parse_specification
from agents.policies.policy import Candidates, Setting
from autoloss_gym.core.task import Control
from benchmarks.sides import Side, measure
from studies.markdown import quartiles, table
from studies.weightings.settings import EQUAL, PINN, RANKED, RULES_OF_RESIDUALS

_STEPS = 400  # of a turn, over all runs at once
_FEWEST = 20


def side(env: str, preset: str, text: str, num_envs: int) -> Side:
    """Environments of which a turn plays some steps, under one rule."""
    maker = EnvironmentMaker(env, {"preset": preset} if preset else {})
    envs = maker(num_envs=num_envs)
    policy = parse_specification(text).build(Setting(envs.task, env))
    assert not isinstance(policy, Candidates)
    seeds = np.arange(num_envs)
    observations, infos = envs.reset(seed=seeds.tolist())
    policy.reset(seeds)
    steps = max(_FEWEST, _STEPS // num_envs)

    def play() -> int:
        nonlocal observations, infos
        for _ in range(steps):
            control = policy.act(observations, infos)
            assert isinstance(control, Control)
            observations, _, _, _, infos = envs.step_control(control)
        return steps * num_envs

    return play


def run() -> None:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", default=PINN, help=f"of the rules (default: {PINN})")
    parser.add_argument("--preset", default="poisson", help="of the task (default: poisson)")
    parser.add_argument("--num-envs", type=positive, nargs="+", default=[1, 8, 64], metavar="N")
    parser.add_argument("--turns", type=positive, default=9, help="of each (default: 9)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    titles = RANKED | (RULES_OF_RESIDUALS if arguments.env == PINN else {})
    columns = []
    for num_envs in arguments.num_envs:
        sides = {text: side(arguments.env, arguments.preset, text, num_envs) for text in titles}
        rates = measure(sides, arguments.turns, time.process_time)
        columns.append({name: rates[EQUAL] / values for name, values in rates.items()})
        plain = 1e6 / np.median(rates[EQUAL])
        print(f"{num_envs} runs: {plain:.0f} µs for a step of one run with equal weights")
    header = ["rule", *(f"runs: {num_envs}" for num_envs in arguments.num_envs)]
    rows = [[titles[name], *(quartiles(each[name]) for each in columns)] for name in titles]
    print(table(header, rows))


if __name__ == "__main__":
    sys.exit(main(run))
