"""How many steps each way of weighting the losses needs on Rosenbrock's and Beale's surfaces.

    python -m studies.surfaces                    # float64: the table and docs/results/surfaces.png
    python -m studies.surfaces --dtype float32    # the precision of the environments

A run ends where the distance to the minimum is below 0.001. "reference" are counts of an
independent loop in float64. Steps of Barzilai and Borwein are chaotic: the last two columns are the
median and range of COPIES runs whose starts differ by up to 1e-9 (in float32, 1e-6). All runs of
one surface and one kind of step are one batch.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.command_line import OneLineParser
from agents.options import positive
from autoloss_gym.tasks.surfaces.beale import Beale
from autoloss_gym.tasks.surfaces.rosenbrock import Rosenbrock
from autoloss_gym.tasks.surfaces.surface import Surface
from studies import ROOT
from studies.markdown import table
from studies.surfaces.experiments import EXPERIMENTS, TOLERANCE, Experiment, Line, Outcome, play
from studies.surfaces.figure import Panel, draw


def report(experiment: Experiment, outcome: Outcome) -> str:
    """A Markdown table of measured steps, those of the reference, and their ratio.

    Where steps are chaotic, also the median and range of the copies.
    """
    header = [experiment.title, "learning rate", "measured", "reference", "ratio"]
    if experiment.chaotic:
        header += ["median of copies", "range"]
    rows = []
    for line, steps, diverged in zip(
        experiment.lines, outcome.steps, outcome.diverged, strict=True
    ):
        row = [line.rule, f"{line.rate:g}", *_counts(line, steps[0], diverged[0])]
        if experiment.chaotic:
            row += _spread(steps[steps >= 0])
        rows.append(row)
    return table(header, rows, num_left=len(header))


def _counts(line: Line, steps: int, diverged: bool) -> list[str]:
    """Measured steps, those of the reference, and their ratio."""
    reference = f"{line.reference:,}" if line.reference else line.note
    if diverged and steps < 0:
        return ["diverged", reference, ""]
    if steps < 0:
        return ["not arrived", reference, ""]
    ratio = f"{steps / line.reference:.3f}" if line.reference else ""
    return [f"{steps:,}", reference, ratio]


def _spread(arrived: np.ndarray) -> list[str]:
    """Median and range of the steps of the copies that have arrived."""
    if not len(arrived):
        return ["", ""]
    return [f"{np.median(arrived):.0f}", f"{arrived.min()} to {arrived.max()}"]


def panels(outcomes: list[Outcome]) -> list[Panel]:
    """One panel for each experiment, with the lines of its first learning rate."""
    extents = {Rosenbrock: (-1.8, 1.6, -0.5, 1.6), Beale: (0.6, 3.3, -0.5, 1.3)}
    chosen = []
    for experiment, outcome, after in zip(EXPERIMENTS, outcomes, (5000, 200, 500), strict=True):
        task = experiment.task
        rate = experiment.lines[0].rate
        shown = {}
        for line, path in zip(experiment.lines, outcome.paths, strict=True):
            if line.rate == rate:
                shown[line.rule] = path
        title = experiment.title if experiment.chaotic else f"{experiment.title} {rate:g}"
        chosen.append(Panel(title, _surface(task), task.minimum, extents[type(task)], after, shown))
    return chosen


def _surface(task: Surface) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    def total(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        point = torch.from_numpy(np.stack([x, y], axis=-1).reshape(-1, 2))
        losses: Any = [loss({"point": point}, {}) for loss in task.losses().values()]
        return sum(losses).numpy().reshape(x.shape)

    return total


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    parser.add_argument("--max-steps", type=positive, default=40_000, help="default: 40000")
    parser.add_argument(
        "--copies",
        type=positive,
        default=21,
        help="runs of each Barzilai–Borwein line (default: 21)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="the picture (default: docs/results/surfaces.png in float64, else none)",
    )
    arguments = parser.parse_args()
    if arguments.output is None and arguments.dtype == "float64":
        arguments.output = ROOT / "docs" / "results" / "surfaces.png"
    output = arguments.output
    if output and not output.parent.is_dir():
        parser.error(f"--output {output}: there is no folder {str(output.parent)!r}")
    return arguments


def run() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(1)
    dtype = getattr(torch, arguments.dtype)
    outcomes = []
    for experiment in EXPERIMENTS:
        copies = arguments.copies if experiment.chaotic else 1
        outcome = play(experiment, arguments.max_steps, copies, dtype)
        print(report(experiment, outcome), flush=True, end="\n\n")
        outcomes.append(outcome)
    if arguments.output:
        draw(panels(outcomes), TOLERANCE, arguments.output)
