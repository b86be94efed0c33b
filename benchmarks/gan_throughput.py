"""Training steps a second: the GAN environment against a loop that trains one DCGAN at a time.

    python -m benchmarks.gan_throughput              # digits, and MNIST where its folder is named
    python -m benchmarks.gan_throughput small --turns 40
    python -m benchmarks.gan_throughput mnist --device cuda --num-envs 1 16

All sides do the same: an update of a random player with the norm of its gradient, and a validation
as often. They take turns on one thread; the table has medians and quartiles of the ratios within a
turn. Only this package's sides also compute observations and rewards. Beginning and ending an
episode is no part of a turn: its time stands under the table.
"""

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from agents.command_line import OneLineParser, main
from agents.options import key_value, positive
from autoloss_gym import AutoLossVectorEnv
from autoloss_gym.environment.building import build_task
from autoloss_gym.tasks.images.image_gan import ImageGAN
from autoloss_gym.tools.names import unknown
from benchmarks.gan_loops import bare_loop
from benchmarks.sides import Side, batched, measure, report, single
from studies.markdown import quartiles

SETTINGS = ("digits", *ImageGAN.presets)
LOOP = "PyTorch loop, one GAN at a time"
SINGLE = "single environment"
# On a processor its own seconds, which other programs lengthen less.
CLOCKS = {"cpu": time.process_time, "cuda": time.perf_counter}


def make_task(setting: str, arguments: dict[str, Any]) -> ImageGAN:
    """The task of a preset, or the default one, whose episodes do not end while it is timed."""
    preset = None if setting == "digits" else setting
    task = build_task("autoloss_gym.tasks.images.image_gan:ImageGAN", preset, arguments)
    assert isinstance(task, ImageGAN)
    endless = task.validate_every * (10**9 // task.validate_every)
    return dataclasses.replace(task, max_steps=endless, patience=0, collapse_repeats=0)


def sides(task: ImageGAN, num_envs: list[int], steps: int, device: str) -> dict[str, Side]:
    """The sides that take turns; the first is what the others are compared with."""
    chosen = {LOOP: bare_loop(task, steps, device), SINGLE: single(task, steps, device)}
    for count in num_envs:
        label = f"vector environment, {count} small GANs against {count} in a loop"
        chosen[label] = batched(task, count, steps, device)
    return chosen


def overhead(rates: dict[str, np.ndarray]) -> str:
    """How much longer a step of the single environment takes than one of the loop."""
    extra = quartiles(rates[LOOP] / rates[SINGLE] - 1, "+.1%")
    return f"Overhead of the single environment: {extra} of a step of the loop."


def episode(task: ImageGAN, max_steps: int, device: str, step_seconds: float) -> str:
    """The cost of an episode beside its steps: the reset, and two scorings at the end."""
    envs = AutoLossVectorEnv(task, 1, device=device)
    # The first of each loads what later ones share, and is not counted.
    _seconds(lambda: envs.reset(seed=1))
    _seconds(envs.scores)
    reset = _seconds(lambda: envs.reset(seed=2))
    scoring = _seconds(envs.scores)
    share = (reset + 2 * scoring) / (step_seconds * max_steps)
    return (
        f"Around the {max_steps:,} steps of an episode: reset {reset:.2f} s, "
        f"2 scorings of {scoring:.2f} s, {share:.1%} of their time."
    )


def _seconds(call: Callable[[], object]) -> float:
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
        chosen = sides(task, arguments.num_envs, steps, arguments.device)
        rates = measure(chosen, arguments.turns, CLOCKS[arguments.device])
        print(report(setting, rates), "", overhead(rates), sep="\n", flush=True)
        max_steps = ImageGAN.presets.get(setting, {}).get("max_steps", ImageGAN.max_steps)
        step_seconds = float(1 / np.median(rates[SINGLE]))
        print(episode(task, max_steps, arguments.device, step_seconds), flush=True, end="\n\n")


if __name__ == "__main__":
    sys.exit(main(run))
