"""How many training steps a second: the environments against loops that train one model at a time.

    python -m benchmarks.throughput                       # both tasks, 64 and 512 runs
    python -m benchmarks.throughput --num-envs 1 8 64 512 4096 --compiled 1 8 64 512 --turns 2 \\
        --figure throughput.png
    python -m benchmarks.throughput --device cuda         # on a GPU

All sides do the same: a random choice of the pair, its gradient and norm, an Adam step, a
validation as often, and a new problem when an episode ends. They take turns on one thread; the
table has medians and quartiles of the ratios within a turn. Only this package's sides also compute
observations and rewards.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from agents.command_line import OneLineParser, main
from agents.options import positive
from autoloss_gym import AutoLossEnv
from autoloss_gym.tasks.supervised.mlp_classification import MLPClassification
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from autoloss_gym.tools.names import unknown
from benchmarks.loops import Task, idiomatic, numpy_loop
from benchmarks.sides import Side, batched, measure, report, single

TASKS: dict[str, Task] = {"regression": QuadraticRegression(), "mlp": MLPClassification()}
LOOP = "PyTorch loop, one model at a time"
NUMPY_LOOP = "NumPy loop, one model at a time"


def stable_baselines3(task: Task, processes: int) -> Side:
    """Stable-Baselines3's vector environments over single ones, one for each process."""
    makers: list[Callable[[], gymnasium.Env]] = [lambda: AutoLossEnv(task)] * processes
    envs = SubprocVecEnv(makers, start_method="fork") if processes > 1 else DummyVecEnv(makers)
    envs.reset()
    generator = np.random.default_rng(0)
    steps = 2 * task.max_steps

    def play() -> int:
        for _ in range(steps):
            envs.step(generator.integers(2, size=processes))
        return steps * processes

    return play


def sides(name: str, num_envs: list[int], device: str, compiled: list[int]) -> dict[str, Side]:
    """The sides that take turns; the first is what the others are compared with."""
    task = TASKS[name]
    steps = 2 * task.max_steps  # two episodes a turn
    chosen = {LOOP: idiomatic(task, device)}
    for count in num_envs:
        chosen[f"vector environment, {count} runs"] = batched(task, count, steps, device)
    for count in compiled:
        label = f"vector environment, {count} runs, compiled"
        chosen[label] = batched(task, count, steps, device, compile=True)
    if device != "cpu":
        return chosen

    chosen[NUMPY_LOOP] = numpy_loop(task)
    chosen["single environment"] = single(task, steps)
    if compiled:
        chosen["single environment, compiled"] = single(task, steps, compile=True)
    chosen["SB3 DummyVecEnv"] = stable_baselines3(task, 1)
    chosen["SB3 SubprocVecEnv(2)"] = stable_baselines3(task, 2)
    return chosen


def draw(tables: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    """Draw steps a second against the number of runs, and those of the loops as lines."""
    from matplotlib.figure import Figure  # noqa: PLC0415 (slow to import, needed at the end alone)

    figure = Figure(figsize=(5 * len(tables), 3.8), layout="constrained")
    panels = figure.subplots(1, len(tables), squeeze=False)[0]
    for axes, (name, rates) in zip(panels, tables.items(), strict=True):
        _draw_batches(axes, rates, " runs", "eager", "o")
        _draw_batches(axes, rates, " runs, compiled", "compiled", "s")
        for side, style in ((LOOP, "--"), (NUMPY_LOOP, ":")):
            if side in rates:
                label = side.partition(",")[0]
                axes.axhline(np.median(rates[side]), linestyle=style, color="gray", label=label)
        axes.set(xscale="log", yscale="log", title=name)
        axes.set(xlabel="runs in a batch", ylabel="training steps a second")
        axes.legend()
    figure.savefig(path, dpi=120)


def _draw_batches(
    axes: Any, rates: dict[str, np.ndarray], ending: str, label: str, marker: str
) -> None:
    """The sides whose name is a number of runs and this ending."""
    sizes = []
    medians = []
    for side, values in rates.items():
        if side.endswith(ending):
            sizes.append(int(side.removesuffix(ending).rpartition(" ")[2]))
            medians.append(np.median(values))
    if sizes:
        axes.plot(sizes, medians, marker=marker, label=label)


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "tasks", nargs="*", metavar="TASK", help=f"{', '.join(TASKS)} (default: all)"
    )
    parser.add_argument(
        "--num-envs",
        type=positive,
        nargs="+",
        default=[64, 512],
        help="runs in a batch (default: 64 512)",
    )
    parser.add_argument(
        "--compiled",
        type=positive,
        nargs="*",
        default=[64],
        help="runs in a compiled batch (default: 64)",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--turns", type=positive, default=5, help="default: 5")
    parser.add_argument(
        "--figure", type=Path, help="draw steps a second against the number of runs to this file"
    )
    arguments = parser.parse_args()
    for name in arguments.tasks:
        if name not in TASKS:
            parser.error(unknown("task", name, TASKS))
    return arguments


def run() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(1)
    rates = {}
    for name in arguments.tasks or TASKS:
        chosen = sides(name, arguments.num_envs, arguments.device, arguments.compiled)
        rates[name] = measure(chosen, arguments.turns)
        print(report(name, rates[name]), flush=True)
    if arguments.figure:
        draw(rates, arguments.figure)


if __name__ == "__main__":
    sys.exit(main(run))
