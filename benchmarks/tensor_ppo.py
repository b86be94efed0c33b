"""Steps a second of whole PPO trainings: on tensors, against Stable-Baselines3.

    python -m benchmarks.tensor_ppo                              # 64 and 512 runs
    python -m benchmarks.tensor_ppo --num-envs 64 --compiled     # with a compiled environment too

Both sides train the same policy with the same hyper-parameters, those of the commands for
`AutoLoss/QuadraticRegression-v1`. A turn is ten rollouts with their updates and figures, the
length of an episode. Turns alternate on one thread. By default the clock counts the
processor's seconds, which other programs lengthen less; on a GPU it is that of the wall.
"""

import argparse
import sys
import time
from typing import Any

import gymnasium
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger

from agents.command_line import OneLineParser, main
from agents.configuration import TrainingConfiguration, hyperparameters
from agents.learners.tensor_ppo import TensorPPOLearner
from agents.options import positive
from autoloss_gym.adapters.stable_baselines3 import StableBaselines3VecEnv
from benchmarks.sides import Side, measure, report

ID = "AutoLoss/QuadraticRegression-v1"


def settings() -> dict[str, Any]:
    """Hyper-parameters of both sides."""
    chosen = hyperparameters("ppo", ID)
    del chosen["num_envs"], chosen["n_timesteps"]
    return chosen


def stable_baselines3(num_envs: int, rollouts: int, **env_kwargs: Any) -> Side:
    """Stable-Baselines3's PPO behind the adapter, on the CPU."""
    envs = StableBaselines3VecEnv(gymnasium.make_vec(ID, num_envs=num_envs, **env_kwargs))
    model = PPO("MlpPolicy", envs, seed=0, device="cpu", **settings())
    model.set_logger(Logger(None, []))
    steps = rollouts * model.n_steps * num_envs

    def play() -> int:
        model.learn(steps, reset_num_timesteps=False)
        return steps

    return play


def on_tensors(num_envs: int, rollouts: int, **env_kwargs: Any) -> Side:
    """The learner of `--algo tensor_ppo`, on the environment's device."""
    learner = TensorPPOLearner(
        TrainingConfiguration(
            algo="tensor_ppo",
            env=ID,
            env_kwargs=env_kwargs,
            num_envs=num_envs,
            n_timesteps=1,
            seed=0,
            hyperparameters=settings(),
        )
    )
    logger = Logger(None, [])

    def play() -> int:
        steps = 0
        for _ in range(rollouts):
            rollout = learner.advance(logger)
            logger.dump()
            steps += len(rollout.actions)
        return steps

    return play


def sides(arguments: argparse.Namespace, num_envs: int) -> dict[str, Side]:
    """The sides that take turns; the first is what the others are compared with."""
    chosen = {}
    for compiled in (False, True)[: 1 + arguments.compiled]:
        ending = ", compiled" if compiled else ""
        env_kwargs = {"device": arguments.device, "compile": compiled}
        for name, make in (("Stable-Baselines3", stable_baselines3), ("on tensors", on_tensors)):
            chosen[name + ending] = make(num_envs, arguments.rollouts, **env_kwargs)
    return chosen


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--num-envs",
        type=positive,
        nargs="+",
        default=[64, 512],
        help="runs in a batch (default: 64 512)",
    )
    parser.add_argument("--compiled", action="store_true", help="compiled environments as well")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--rollouts",
        type=positive,
        default=10,
        help="in a turn, of 60 steps a run (default: 10, an episode)",
    )
    parser.add_argument("--turns", type=positive, default=5, help="default: 5")
    return parser.parse_args()


def run() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(1)
    clock = time.process_time if arguments.device == "cpu" else time.perf_counter
    for num_envs in arguments.num_envs:
        chosen = sides(arguments, num_envs)
        rates = measure(chosen, arguments.turns, clock)
        print(report(f"PPO, {num_envs} runs", rates), flush=True)


if __name__ == "__main__":
    sys.exit(main(run))
