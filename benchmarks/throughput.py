"""How many training steps a second: the environments against loops that train one model at a time.

    python -m benchmarks.throughput                       # both tasks, 64 runs python -m
    benchmarks.throughput --num-envs 1 8 64 512 4096 --compiled 1 8 64 512 --turns 2 --figure
    throughput.png python -m benchmarks.throughput --device cuda         # on a GPU

All sides do the same: a random choice of the pair, its gradient and norm, an Adam step, a
validation as often, and a new problem when an episode ends. They take turns on one thread; what is
printed are medians and quartiles of the ratios within a turn. Only this package's sides also
compute observations and rewards.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from agents.command_line import OneLineParser, main, positive
from autoloss_gym import AutoLossEnv, AutoLossVectorEnv
from autoloss_gym.tasks.supervised.mlp_classification import MLPClassification
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from autoloss_gym.tools.names import unknown
from benchmarks.loops import Side, Task, idiomatic, numpy_loop

TASKS: dict[str, Task] = {"regression": QuadraticRegression(), "mlp": MLPClassification()}


def batched(task: Task, num_envs: int, device: str, compile: bool = False) -> Side:
    """This package's vector environment."""
    array = "numpy" if device == "cpu" else "torch"
    envs = AutoLossVectorEnv(task, num_envs, device=device, array=array, compile=compile)
    envs.reset(seed=0)
    generator = torch.Generator(device).manual_seed(0)

    def play() -> int:
        for _ in range(2 * task.max_steps):
            actions = torch.randint(2, (num_envs,), generator=generator, device=device)
            envs.step(actions if device != "cpu" else actions.numpy())
        if device == "cuda":
            torch.cuda.synchronize()
        return 2 * task.max_steps * num_envs

    return play


def single(task: Task, compile: bool = False) -> Side:
    """This package's environment of one run."""
    env = AutoLossEnv(task, compile=compile)
    env.reset(seed=0)
    generator = np.random.default_rng(0)

    def play() -> int:
        steps = 2 * task.max_steps
        for _ in range(steps):
            _, _, ended, _, _ = env.step(generator.integers(2))
            if ended:
                env.reset()
        return steps

    return play


def stable_baselines3(task: Task, processes: int) -> Side:
    """Stable-Baselines3's vector environments over single ones, each in a process or all in this
    one.
    """
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
    """What takes turns; the first is what the others are compared with."""
    task = TASKS[name]
    chosen: dict[str, Side] = {"PyTorch loop, one model at a time": idiomatic(task, device)}
    chosen |= {f"vector environment, {n} runs": batched(task, n, device) for n in num_envs}
    chosen |= {
        f"vector environment, {n} runs, compiled": batched(task, n, device, compile=True)
        for n in compiled
    }
    if device == "cpu":
        chosen |= {
            "NumPy loop, one model at a time": numpy_loop(task),
            "single environment": single(task),
        }
        chosen |= {"single environment, compiled": single(task, compile=True)} if compiled else {}
        chosen |= {
            "SB3 DummyVecEnv": stable_baselines3(task, 1),
            "SB3 SubprocVecEnv(2)": stable_baselines3(task, 2),
        }
    return chosen


def measure(chosen: dict[str, Side], turns: int) -> dict[str, np.ndarray]:
    """Training steps a second of every side in every turn, (turns,)."""
    rates: dict[str, list[float]] = {name: [] for name in chosen}
    for turn in range(turns + 1):
        for name, play in chosen.items():
            started = time.perf_counter()
            steps = play()
            if turn:  # the first warms up
                rates[name].append(steps / (time.perf_counter() - started))
    return {name: np.array(values) for name, values in rates.items()}


def report(name: str, rates: dict[str, np.ndarray]) -> str:
    """A Markdown table of the ratios to the first side."""
    reference = next(iter(rates))
    lines = [
        f"| {name} | steps a second | ratio to the {reference} [quartiles] |",
        "| --- | --- | --- |",
    ]
    for side, values in rates.items():
        low, middle, high = np.quantile(values / rates[reference], [0.25, 0.5, 0.75])
        lines.append(
            f"| {side} | {np.median(values):,.0f} | {middle:.2f} [{low:.2f}, {high:.2f}] |"
        )
    return "\n".join(lines)


def draw(tables: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    """Steps a second against the number of runs, and those of the loops as lines."""
    from matplotlib.figure import Figure  # noqa: PLC0415 (slow to import, needed at the end alone)

    figure = Figure(figsize=(5 * len(tables), 3.8), layout="constrained")
    for axes, (name, rates) in zip(
        figure.subplots(1, len(tables), squeeze=False)[0], tables.items(), strict=True
    ):
        for ending, kind, marker in ((" runs", "eager", "o"), (" runs, compiled", "compiled", "s")):
            sizes = {
                side.removesuffix(ending).rpartition(" ")[2]: rate
                for side, rate in rates.items()
                if side.endswith(ending)
            }
            if sizes:
                axes.plot(
                    [int(n) for n in sizes],
                    [np.median(r) for r in sizes.values()],
                    marker=marker,
                    label=kind,
                )
        for side, style in (
            ("PyTorch loop, one model at a time", "--"),
            ("NumPy loop, one model at a time", ":"),
        ):
            if side in rates:
                axes.axhline(
                    np.median(rates[side]),
                    linestyle=style,
                    color="gray",
                    label=side.partition(",")[0],
                )
        axes.set(
            xscale="log",
            yscale="log",
            xlabel="runs in a batch",
            ylabel="training steps a second",
            title=name,
        )
        axes.legend()
    figure.savefig(path, dpi=120)


def run() -> None:
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
    torch.set_num_threads(1)
    tables = {}
    for name in arguments.tasks or TASKS:
        chosen = sides(name, arguments.num_envs, arguments.device, arguments.compiled)
        tables[name] = measure(chosen, arguments.turns)
        print(report(name, tables[name]), flush=True)
    if arguments.figure:
        draw(tables, arguments.figure)


if __name__ == "__main__":
    sys.exit(main(run))
