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

from agents.command_line import OneLineParser, main
from agents.configuration import hyperparameters
from agents.options import positive
from autoloss_gym import AutoLossVectorEnv
from autoloss_gym.adapters.stable_baselines3 import StableBaselines3VecEnv
from benchmarks.peers.own import TASKS
from studies.markdown import quartiles, table

IDS = {
    "regression": "AutoLoss/QuadraticRegression-v1",
    "classification": "AutoLoss/MLPClassification-v1",
}
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
        arguments = dict(hyperparameters("ppo", IDS[task], None))
        del arguments["num_envs"], arguments["n_timesteps"]
        vector = AutoLossVectorEnv(TASKS[task], num_envs, compile=compile)
        envs = StableBaselines3VecEnv(vector)
        self._model = PPO("MlpPolicy", envs, seed=0, **arguments)
        self._clock = Clock()
        self._clock.watch(vector, "step")
        self._clock.watch(envs, "step_wait")
        self._clock.watch(self._model, "collect_rollouts")
        self._clock.watch(self._model, "train")
        self.steps = num_envs * self._model.n_steps  # environment steps in a rollout

    def advance(self) -> dict[str, float]:
        """Seconds of each part in one rollout and its update."""
        self._clock.seconds.clear()
        self._model.learn(self.steps, reset_num_timesteps=False)
        taken = self._clock.seconds
        parts = {
            "environment": taken["step"],
            "adapter to SB3": taken["step_wait"] - taken["step"],
            "policy and buffer": taken["collect_rollouts"] - taken["step_wait"],
            "learning": taken["train"],
        }
        return parts | {"steps a second": self.steps / sum(parts.values())}


def row(title: str, rollouts: list[dict[str, float]]) -> list[str]:
    """Cells of the table: shares in %, with quartiles, and steps a second."""
    totals = np.array([sum(rollout[part] for part in PARTS) for rollout in rollouts])
    cells = [title]
    for part in PARTS:
        seconds = np.array([rollout[part] for rollout in rollouts])
        cells.append(quartiles(100 * seconds / totals, ".0f"))
    rate = np.median([rollout["steps a second"] for rollout in rollouts])
    return [*cells, f"{rate:,.0f}"]


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
    title = f"{arguments.task}, {arguments.num_envs} runs"
    header = [title, *(f"{part} %" for part in PARTS), "steps a second"]
    print(table(header, [row(name, rollouts) for name, rollouts in measured.items()]))


if __name__ == "__main__":
    sys.exit(main(run))
