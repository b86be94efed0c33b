"""How many training steps a second: the GAN environment against a loop that trains one DCGAN at a
time.

    python -m benchmarks.gan_throughput                                # digits, and MNIST where its
    folder is named python -m benchmarks.gan_throughput small --turns 40 python -m
    benchmarks.gan_throughput mnist --device cuda --num-envs 1 16

All sides do the same: an update of a random player with the norm of its gradient, and a validation
as often. They take turns on one thread; what is printed are medians and quartiles of the ratios
within a turn. Only this package's sides also compute
observations and rewards. Beginning and ending an episode is no part of a turn: its time stands
    under the table.
"""

import argparse
import dataclasses
import os
import sys
import time
from typing import Any

import numpy as np
import torch

from agents.command_line import OneLineParser, key_value, main, positive
from autoloss_gym import AutoLossEnv, AutoLossVectorEnv
from autoloss_gym.tasks.images.image_gan import ImageGAN
from autoloss_gym.tools.arguments import build_task
from autoloss_gym.tools.names import unknown
from benchmarks.gan_loops import bare_loop
from benchmarks.loops import Side
from benchmarks.throughput import measure, report

SETTINGS = ("digits", *ImageGAN.presets)
LOOP, SINGLE = "PyTorch loop, one GAN at a time", "single environment"


def make_task(setting: str, arguments: dict[str, Any]) -> ImageGAN:
    """The task of a preset, or the default one, whose episodes do not end while it is timed."""
    preset = None if setting == "digits" else setting
    task = build_task("autoloss_gym.tasks.images.image_gan:ImageGAN", preset, arguments)
    assert isinstance(task, ImageGAN)
    endless = task.validate_every * (10**9 // task.validate_every)
    return dataclasses.replace(task, max_steps=endless, patience=0, collapse_repeats=0)


def single(task: ImageGAN, steps: int, device: str) -> Side:
    """This package's environment of one run."""
    env, generator = AutoLossEnv(task, device=device), np.random.default_rng(0)
    env.reset(seed=0)

    def play() -> int:
        for _ in range(steps):
            _, _, ended, _, _ = env.step(generator.integers(2))
            if ended:
                env.reset()
        return steps

    return play


def batched(task: ImageGAN, num_envs: int, steps: int, device: str) -> Side:
    """This package's vector environment; each of its runs makes `steps` updates."""
    envs = AutoLossVectorEnv(
        task, num_envs, device=device, array="numpy" if device == "cpu" else "torch"
    )
    envs.reset(seed=0)
    generator = torch.Generator(device).manual_seed(0)

    def play() -> int:
        for _ in range(steps):
            actions = torch.randint(2, (num_envs,), generator=generator, device=device)
            envs.step(actions if device != "cpu" else actions.numpy())
        if device == "cuda":
            torch.cuda.synchronize()
        return steps * num_envs

    return play


def sides(task: ImageGAN, num_envs: list[int], steps: int, device: str) -> dict[str, Side]:
    """What takes turns; the first is what the others are compared with."""
    chosen = {LOOP: bare_loop(task, steps, device), SINGLE: single(task, steps, device)}
    for count in num_envs:
        chosen[f"vector environment, {count} small GANs against {count} in a loop"] = batched(
            task, count, steps, device
        )
    return chosen


def overhead(rates: dict[str, np.ndarray]) -> str:
    """How much longer a step of the single environment takes than one of the loop."""
    low, middle, high = np.quantile(rates[LOOP] / rates[SINGLE] - 1, [0.25, 0.5, 0.75])
    return f"Overhead of the single environment: {middle:+.1%} [{low:+.1%}, {high:+.1%}] of a step of the loop."


def episode(task: ImageGAN, max_steps: int, device: str, step_seconds: float) -> str:
    """What an episode costs beside its steps: the reset, and two scorings at the end."""
    envs = AutoLossVectorEnv(task, 1, device=device)
    seconds = [
        _seconds(each)
        for each in (
            lambda: envs.reset(seed=1),
            envs.scores,
            lambda: envs.reset(seed=2),
            envs.scores,
        )
    ]
    around = seconds[2] + 2 * seconds[3]  # the first of each loads what later ones share
    share = around / (step_seconds * max_steps)
    parts = f"reset {seconds[2]:.2f} s, 2 scorings of {seconds[3]:.2f} s"
    return f"Around the {max_steps:,} steps of an episode: {parts}, {share:.1%} of their time."


def _seconds(call: Any) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = ["digits", "small"] if "AUTOLOSS_GYM_DATA" in os.environ else ["digits"]
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="SETTING",
        help=f"{', '.join(SETTINGS)} (default: {' '.join(default)})",
    )
    parser.add_argument(
        "--num-envs", type=positive, nargs="*", default=[16], help="runs in a batch (default: 16)"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--turns", type=positive, default=9, help="default: 9")
    parser.add_argument(
        "--steps", type=positive, help="of each run in a turn (default: validate_every)"
    )
    parser.add_argument(
        "--env-kwargs",
        type=key_value,
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="arguments of the task",
    )
    arguments = parser.parse_args()
    for name in arguments.settings:
        if name not in SETTINGS:
            parser.error(unknown("setting", name, SETTINGS))
    arguments.settings = arguments.settings or default
    return arguments


def run() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(1)
    for setting in arguments.settings:
        task = make_task(setting, dict(arguments.env_kwargs))
        steps = arguments.steps or task.validate_every
        if steps % task.validate_every:
            raise ValueError(
                f"--steps {steps}: expected a multiple of validate_every={task.validate_every}"
            )
        rates = measure(sides(task, arguments.num_envs, steps, arguments.device), arguments.turns)
        print(report(setting, rates), "", overhead(rates), sep="\n", flush=True)
        max_steps = ImageGAN.presets.get(setting, {}).get("max_steps", ImageGAN.max_steps)
        print(
            episode(task, max_steps, arguments.device, float(1 / np.median(rates[SINGLE]))),
            flush=True,
            end="\n\n",
        )


if __name__ == "__main__":
    sys.exit(main(run))
