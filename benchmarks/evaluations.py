"""What an evaluation gains from two processes, and from episodes that are played at once.

    python -m benchmarks.evaluations                    # four policies on 1,024 problems each

Four policies that look at nothing play on the regression: in one process and in two, which have
begun before the clock starts, and again as if they looked, step by step.
"""

import argparse
import sys

import numpy as np

from agents.command_line import OneLineParser, main
from agents.environments import EnvironmentMaker
from agents.evaluation.rollout import PlayBatches, here, in_processes, rollout
from agents.evaluation.workers import worker_processes
from agents.options import positive
from autoloss_gym.controllers.policies.static import FixedWeights, RandomPair, Ratio
from autoloss_gym.controllers.policy import Policy
from benchmarks.sides import Side, measure, report

ID = "AutoLoss/QuadraticRegression-v1"
POLICIES = (
    Ratio("1:1", (1, 1)),
    Ratio("2:1", (2, 1)),
    RandomPair("random", (0.5, 0.5)),
    FixedWeights("weights", (1.0, 1.0)),
)


class Looking:
    """A policy that is asked at every step: what it does cannot be known before."""

    def __init__(self, policy: Policy) -> None:
        self.static, self.diagnostics = policy.static, policy.diagnostics
        self.label, self.env_arguments = policy.label, policy.env_arguments
        self.reset, self.act = policy.reset, policy.act


def evaluation(policies: list[Policy], episodes: int, play_batches: PlayBatches = here) -> Side:
    """All policies on new problems in every turn."""
    make_env = EnvironmentMaker(ID, {})
    seeds = np.arange(episodes)

    def play() -> int:
        nonlocal seeds
        seeds = seeds + episodes
        found = rollout(policies, make_env, seeds, play_batches=play_batches)
        return int(sum(each.figures["steps"].sum() for each in found))

    return play


def run() -> None:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--episodes", type=positive, default=1024, help="default: 1,024")
    parser.add_argument("--num-workers", type=positive, default=2, help="default: 2")
    parser.add_argument("--turns", type=positive, default=5, help="of each (default: 5)")
    arguments = parser.parse_args()
    policies: list[Policy] = list(POLICIES)
    looking: list[Policy] = [Looking(policy) for policy in POLICIES]
    count = arguments.num_workers
    with worker_processes(count) as pool:
        others = in_processes(pool) if pool else here
        sides = {
            "evaluation": evaluation(policies, arguments.episodes),
            "evaluation, step by step": evaluation(looking, arguments.episodes),
            f"evaluation, {count} workers": evaluation(policies, arguments.episodes, others),
        }
        rates = measure(sides, arguments.turns)
    print(report(f"{len(policies)} policies × {arguments.episodes:,} problems", rates))


if __name__ == "__main__":
    sys.exit(main(run))
