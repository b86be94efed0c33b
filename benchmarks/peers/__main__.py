"""Steps a second of this package, of plain loops, and of other libraries, in turns on one core.

    python -m benchmarks.peers                         # both tasks, 1, 8, 64 and 512 runs
    python -m benchmarks.peers regression --runs 64 --turns 20 --figure peers.png
    python -m benchmarks.peers --check                 # the peer in JAX computes the same
    python -m benchmarks.peers --device cuda           # without the other libraries

Every side trains models of the same size on problems of the same kind: a random choice of the loss
in each step, its gradient and norm, an Adam step, a validation as often, and a new problem for each
episode. `make peers` installs the other libraries; what is not there is left out. The table has
medians and quartiles of ratios within a turn, of the processor's seconds, on a GPU of the wall's.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from agents.command_line import OneLineParser, main
from agents.options import positive
from agents.progress import show_progress
from autoloss_gym.tools.names import unknown
from benchmarks.peers import agreement, own, tables
from benchmarks.peers.protocol import ROOT, Turn, Worker, timed
from benchmarks.peers.tables import Entry

FOLDER = ROOT / "benchmarks" / "peers"
SCAN = "JAX scan"
# Names in the tables, and those that the worker knows.
JAX_SIDES = {SCAN: "scan", "JAX scan, observing": "observing", "JAX step by step": "step by step"}
JAX_BLOCKS = "JAX scan, blocks of 64"
TOY_SGD = "DACBench ToySGD (other problem)"
_TRAINED = 64  # runs of a whole training

Turns = dict[Entry, Callable[[], Turn]]


def own_sides(task: str, arguments: argparse.Namespace) -> Turns:
    """What this process plays: loops, this package, and trainings with it."""
    on_cpu = arguments.device == "cpu"
    names = [Entry(loop, 0) for loop in (own.LOOPS if on_cpu else (own.LEAN,))]
    names.append(Entry(own.SINGLE, 0))
    if arguments.compiled:
        names.append(Entry(own.SINGLE + own.COMPILED, 0))
    for side in own.BATCHES:
        names += [Entry(side, runs) for runs in arguments.runs]
        names += [Entry(side + own.COMPILED, runs) for runs in arguments.compiled]
    if arguments.training and task == "regression":
        names += [Entry(own.TRAINING + ending, _TRAINED) for ending in ("", own.COMPILED)]
    return {name: _own(task, name, arguments.device) for name in names}


def _own(task: str, entry: Entry, device: str) -> Callable[[], Turn]:
    play = own.make(task, entry.side, max(entry.runs, 1), device)
    return lambda: timed(play)


def foreign_sides(task: str, workers: dict[str, Worker], sizes: list[int]) -> Turns:
    """What the workers play."""
    chosen: Turns = {}
    if "jax" in workers:
        for name, side in JAX_SIDES.items():
            for runs in sizes:
                chosen[Entry(name, runs)] = _foreign(workers["jax"], task, side, runs)
        for runs in [runs for runs in sizes if runs > 64]:
            chosen[Entry(JAX_BLOCKS, runs)] = _foreign(workers["jax"], task, "blocks", runs)
    if "dacbench" in workers:
        chosen[Entry(TOY_SGD, 0)] = _foreign(workers["dacbench"], task, TOY_SGD, 1)
    return chosen


def _foreign(worker: Worker, task: str, side: str, runs: int) -> Callable[[], Turn]:
    return lambda: worker.turn(task, side, runs)


def take_turns(task: str, sides: Turns, turns: int) -> dict[Entry, list[Turn]]:
    """All sides one after another, as often as there are turns and once before, to warm up."""
    measured: dict[Entry, list[Turn]] = {entry: [] for entry in sides}
    total = (turns + 1) * len(sides)
    with show_progress("turns", lines=10) as progress:
        for number in range(total):
            entry = list(sides)[number % len(sides)]
            progress.update(task, number, total, entry.label)
            made = sides[entry]()
            if number >= len(sides):
                measured[entry].append(made)
    return measured


def start(arguments: argparse.Namespace) -> dict[str, Worker]:
    """The workers of the other libraries that are installed."""
    workers = {}
    for library in ("jax", "dacbench"):
        python: Path = getattr(arguments, f"{library}_python")
        if arguments.device != "cpu":
            print(f"{library}: left out, it is measured on the CPU alone")
        elif not python.exists():
            print(f"{library}: left out, there is no {python}; `make peers` installs it")
        else:
            # Not resolved: an interpreter knows its environment by the name of its link.
            command = [str(python.absolute()), "-m", f"benchmarks.peers.{library}_side"]
            workers[library] = Worker(command)
    return workers


def measure_memory(task: str, sizes: tuple[int, int], jax: Path) -> str:
    """What a run holds, and what it adds to the peak of a process in its second turn."""
    commands = {"step by step": [sys.executable, "-m", "benchmarks.peers.own"]}
    commands["segments"] = commands["step by step"]
    if jax.exists():
        commands[SCAN] = [str(jax.absolute()), "-m", "benchmarks.peers.jax_side"]
    figures = {}
    for name, command in commands.items():
        peaks = []
        for runs in sizes:
            worker = Worker(command)
            for _ in range(2):  # the first compiles
                worker.turn(task, JAX_SIDES.get(name, name), runs)
                peak = worker.ask("peak")["bytes"]
            peaks.append(peak)
            state = worker.ask("state", task=task, runs=runs)["bytes"]
            worker.close()
        figures[name] = (state, (peaks[1] - peaks[0]) / (sizes[1] - sizes[0]))
    return tables.memory(f"{task}: memory of a run", figures, sizes)


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ", ".join(own.TASKS)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"{names} (default: both)")
    parser.add_argument(
        "--runs",
        type=positive,
        nargs="+",
        default=[1, 8, 64, 512],
        help="runs at once (default: 1 8 64 512)",
    )
    parser.add_argument(
        "--compiled",
        type=positive,
        nargs="*",
        default=[64, 512],
        help="runs of what is compiled here (default: 64 512; nothing: leave it out)",
    )
    parser.add_argument("--turns", type=positive, default=5, help="default: 5")
    parser.add_argument("--training", action="store_true", help="PPO on the regression as well")
    parser.add_argument("--memory", action="store_true", help="a table of the memory of a run")
    parser.add_argument("--check", action="store_true", help="compare numbers instead of speeds")
    parser.add_argument("--figure", type=Path, help="draw steps a second against runs to this file")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    for library in ("jax", "dacbench"):
        python = FOLDER / f".venv-{library}" / "bin" / "python"
        text = f"interpreter that has {library} (default: that of `make peers`)"
        parser.add_argument(f"--{library}-python", type=Path, default=python, help=text)
    arguments = parser.parse_args()
    for name in arguments.tasks:
        if name not in own.TASKS:
            parser.error(unknown("task", name, own.TASKS))
    return arguments


def run() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(1)
    clock = "processor" if arguments.device == "cpu" else "wall"
    if clock == "processor" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # its workers inherit it
    workers = start(arguments)
    names = arguments.tasks or [*own.TASKS]
    if arguments.check:
        if "jax" not in workers:
            raise ValueError("--check: expected an interpreter that has JAX; `make peers` makes it")
        agreement.check(workers["jax"], names)
        return
    measured = {}
    for task in names:
        sides = own_sides(task, arguments) | foreign_sides(task, workers, arguments.runs)
        measured[task] = take_turns(task, sides, arguments.turns)
        print(tables.speed(task, measured[task], clock, own.LEAN, SCAN), flush=True)
    if arguments.figure:
        tables.draw(measured, clock, arguments.figure)
    if arguments.memory:
        low, high = sorted({1, *arguments.runs})[-2:]
        for task in names:
            print("\n" + measure_memory(task, (low, high), arguments.jax_python), flush=True)
    for worker in workers.values():
        worker.close()


if __name__ == "__main__":
    sys.exit(main(run))
