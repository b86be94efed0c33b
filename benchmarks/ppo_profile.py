"""Where the time of a PPO training goes: the environment, the rest of collecting, and learning.

    python -m benchmarks.ppo_profile                      # regression, 64 runs, eager and compiled
    python -m benchmarks.ppo_profile --num-envs 512

Both environments are trained on in turns, one rollout and its update each, with the
hyper-parameters of `train_agent.py`, on one thread; shares are medians and quartiles over the
rollouts after the first, which warms up.
"""

import argparse
import sys
import time
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO

from agents.command_line import OneLineParser, main, positive
from agents.configuration import hyperparameters
from autoloss_gym import AutoLossVectorEnv
from autoloss_gym.adapters.stable_baselines3 import StableBaselines3VecEnv
from benchmarks.throughput import TASKS

IDS = {"regression": "AutoLoss/QuadraticRegression-v0", "mlp": "AutoLoss/MLPClassification-v0"}
PARTS = ("environment", "adapter to SB3", "policy and buffer", "learning")


class Clock:
    """Seconds spent in methods, outermost calls only."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def watch(self, owner: Any, method: str) -> None:
        original = getattr(owner, method)

        def timed(*arguments: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return original(*arguments, **options)
            finally:
                self.seconds[method] = self.seconds.get(method, 0.0) + time.perf_counter() - started

        setattr(owner, method, timed)


class Training:
    """A PPO training that can be advanced by one rollout and its update."""

    def __init__(self, task: str, num_envs: int, compile: bool) -> None:
        arguments = {
            n: v
            for n, v in hyperparameters("ppo", IDS[task], None).items()
            if n not in ("num_envs", "n_timesteps")
        }
        vector = AutoLossVectorEnv(TASKS[task], num_envs, compile=compile)
        envs = StableBaselines3VecEnv(vector)
        self._model = PPO("MlpPolicy", envs, seed=0, **arguments)
        self._clock = Clock()
        for owner, method in (
            (vector, "step"),
            (envs, "step_wait"),
            (self._model, "collect_rollouts"),
            (self._model, "train"),
        ):
            self._clock.watch(owner, method)
        self.steps = num_envs * self._model.n_steps  # environment steps in a rollout

    def advance(self) -> dict[str, float]:
        """Seconds of each part in one rollout and its update."""
        self._clock.seconds.clear()
        self._model.learn(self.steps, reset_num_timesteps=False)
        taken = self._clock.seconds
        parts = (
            taken["step"],
            taken["step_wait"] - taken["step"],
            taken["collect_rollouts"] - taken["step_wait"],
            taken["train"],
        )
        return dict(zip(PARTS, parts, strict=True)) | {"steps a second": self.steps / sum(parts)}


def report(title: str, rollouts: list[dict[str, float]]) -> str:
    """One line of a Markdown table: shares in %, with quartiles, and steps a second."""
    totals = np.array([sum(rollout[part] for part in PARTS) for rollout in rollouts])
    cells = []
    for part in PARTS:
        shares = 100 * np.array([rollout[part] for rollout in rollouts]) / totals
        low, middle, high = np.quantile(shares, [0.25, 0.5, 0.75])
        cells.append(f"{middle:.0f} [{low:.0f}, {high:.0f}]")
    rate = np.median([rollout["steps a second"] for rollout in rollouts])
    return f"| {title} | {' | '.join(cells)} | {rate:,.0f} |"


def run() -> None:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", choices=TASKS, default="regression", help="default: regression")
    parser.add_argument(
        "--num-envs", type=positive, default=64, help="runs in the batch (default: 64)"
    )
    parser.add_argument(
        "--rollouts",
        type=positive,
        default=30,
        help="default: 30, three episodes of the regression",
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    trainings = {
        name: Training(arguments.task, arguments.num_envs, name == "compiled")
        for name in ("eager", "compiled")
    }
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in trainings}
    for turn in range(arguments.rollouts + 1):
        for name, training in trainings.items():
            parts = training.advance()
            if turn:
                measured[name].append(parts)
    print(
        f"| {arguments.task}, {arguments.num_envs} runs | {' % | '.join(PARTS)} % | steps a second |"
    )
    print("| --- |" + " ---: |" * (len(PARTS) + 1))
    for name, rollouts in measured.items():
        print(report(name, rollouts))


if __name__ == "__main__":
    sys.exit(main(run))
