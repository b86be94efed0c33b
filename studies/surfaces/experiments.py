"""How many steps each way of weighing the losses needs on Rosenbrock's and Beale's surfaces, and
the ways that it takes.

    python -m studies.surfaces                         # float64, the table and
    docs/results/surfaces.png python -m studies.surfaces --dtype float32         # the precision of
    the environments

A run ends where the distance to the minimum is below 0.001. "reference" are counts of an
independent loop in float64. Steps of Barzilai and Borwein are chaotic: the last two columns are the
median and range of COPIES runs whose beginnings differ by up to 1e-9 (in float32, 1e-6). All runs
of one surface and one kind of step are one batch.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.command_line import OneLineParser, positive
from autoloss_gym import random
from autoloss_gym.core.task import Control, Keys, State
from autoloss_gym.tasks.surfaces.beale import Beale
from autoloss_gym.tasks.surfaces.rosenbrock import Rosenbrock
from autoloss_gym.tasks.surfaces.surface import Surface
from autoloss_gym.tools import tree
from autoloss_gym.weightings.softadapt import SoftAdapt
from studies import ROOT
from studies.surfaces.figure import Panel, draw

TOLERANCE = 1e-3
NUDGES = {torch.float64: 1e-9, torch.float32: 1e-6}
Weigh = Callable[[Tensor], Tensor]  # losses (runs, losses) → weights of that shape; it may remember


def _sum() -> Weigh:
    return torch.ones_like


def _equal() -> Weigh:
    return lambda losses: torch.full_like(losses, 1 / losses.shape[1])


def _softadapt(beta: float, loss_weighted: bool) -> Callable[[], Weigh]:
    return lambda: SoftAdapt(beta=beta, loss_weighted=loss_weighted).update


RULES: dict[str, Callable[[], Weigh]] = {
    "plain sum": _sum,
    "equal weights": _equal,
    "Original, β = 0.1": _softadapt(0.1, False),
    "Loss-weighted, β = 0.1": _softadapt(0.1, True),
    "Loss-weighted, β = 1": _softadapt(1.0, True),
}
FOUR = tuple(RULES)[:4]


@dataclass(frozen=True)
class Line:
    """A line of the table.

    Args:
        rule: which of `RULES`.
        rate: learning rate.
        reference: steps to within `TOLERANCE` of an independent loop; None where it did not arrive
            in 40,000.
        note: what that loop did instead.
    """

    rule: str
    rate: float
    reference: int | None
    note: str = ""


@dataclass(frozen=True)
class Experiment:
    """Lines that are played as one batch: a surface, with steps of one kind."""

    title: str
    task: Surface
    lines: tuple[Line, ...]

    @property
    def chaotic(self) -> bool:
        return self.task.step not in (None, "fixed")


def _lines(
    rate: float, *references: int | None, note: str = "", rules: tuple[str, ...] = FOUR
) -> tuple[Line, ...]:
    return tuple(
        Line(rule, rate, count, note if count is None else "")
        for rule, count in zip(rules, references, strict=True)
    )


_ROSENBROCK, _BEALE = Rosenbrock(start_width=0.0), Beale(start_width=0.0)
EXPERIMENTS = (
    Experiment(
        "Rosenbrock, fixed step",
        _ROSENBROCK,
        (
            *_lines(1e-3, 17082, 34175, 34174, 19358),
            *_lines(3e-3, None, 11379, 11380, 6257, note="not within 40,000"),
            *_lines(5e-3, None, None, note="diverged", rules=FOUR[2:]),
        ),
    ),
    Experiment(
        "Rosenbrock, Barzilai–Borwein (BB2)",
        replace(_ROSENBROCK, step="barzilai_borwein_2"),
        _lines(1e-3, 434, 756, 762, 854, 824, rules=tuple(RULES)),
    ),
    Experiment("Beale, fixed step", _BEALE, _lines(1e-2, 1955, 5870, 5870, 3836)),
)


@dataclass
class Outcome:
    """What became of the lines of an experiment.

    Args:
        steps: to within the tolerance, (lines, copies), -1 where that was not reached.
        diverged: (lines, copies).
        paths: of every line's first copy, the points (steps, 2) that it visited.
    """

    steps: np.ndarray
    diverged: np.ndarray
    paths: list[np.ndarray]


def play(experiment: Experiment, max_steps: int, copies: int, dtype: torch.dtype) -> Outcome:
    """Play all lines until every run has arrived, diverged, or made `max_steps` steps."""
    task, lines = experiment.task, experiment.lines
    state = start(task, len(lines), copies, dtype)
    rules = [RULES[line.rule]() for line in lines]
    factors = torch.tensor(
        [line.rate / task.optimizer.learning_rate for line in lines], dtype=dtype
    )
    step_size = factors.repeat_interleave(copies)
    steps, points = torch.full((len(state.steps),), -1), []
    for step in range(max_steps + 1):
        points.append(state.parameters["point"][::copies].clone())
        arrived = task.validate(state)[:, 0] < TOLERANCE
        steps = torch.where(arrived & (steps < 0), step, steps)
        if bool((state.diverged | (steps >= 0)).all()):
            break
        losses = task.measure(state).losses
        usable = torch.isfinite(losses).all(dim=1, keepdim=True)
        told = torch.where(usable, losses, 1.0)  # runs that have diverged are not weighed any more
        weights = torch.cat(
            [rule(part) for rule, part in zip(rules, told.split(copies), strict=True)]
        )
        state, _ = task.update(
            state, Control(weights=torch.where(usable, weights, 1.0), step_size=step_size)
        )
    arrivals, diverged = (values.view(-1, copies).numpy() for values in (steps, state.diverged))
    return Outcome(arrivals, diverged, _paths(torch.stack(points, dim=1).numpy(), arrivals[:, 0]))


def start(task: Surface, lines: int, copies: int, dtype: torch.dtype) -> State:
    """Runs at the start of the task, (lines · copies,), all copies of a line but the first moved by
    up to `NUDGES`.
    """
    keys = torch.arange(copies).repeat(lines)
    state = tree.map_tensors(
        lambda leaf: leaf.to(dtype) if leaf.is_floating_point() else leaf,
        task.reset(Keys(keys, keys)),
    )
    exact = torch.tensor(task.start, dtype=dtype).expand(len(keys), 2)
    nudge = random.uniform(random.fold_in(keys, "nudge"), (2,), -1.0, 1.0).to(dtype) * NUDGES[dtype]
    state.parameters["point"] = torch.where(keys[:, None] > 0, exact + nudge, exact)
    return state


def _paths(points: np.ndarray, steps: np.ndarray) -> list[np.ndarray]:
    """The points (lines, steps, 2) of every line until it arrives, or as long as they are finite."""
    cut = [
        path[: last + 1] if last >= 0 else path for path, last in zip(points, steps, strict=True)
    ]
    return [path[np.isfinite(path).all(axis=1)] for path in cut]


def report(experiment: Experiment, outcome: Outcome) -> str:
    """A Markdown table: measured, reference, their ratio, and where steps are chaotic those of the
    copies.
    """
    more = experiment.chaotic
    lines = [
        f"| {experiment.title} | learning rate | measured | reference | ratio |"
        + (" median of copies | range |" if more else ""),
        "| --- | --- | --- | --- | --- |" + (" --- | --- |" if more else ""),
    ]
    for line, steps, diverged in zip(
        experiment.lines, outcome.steps, outcome.diverged, strict=True
    ):
        measured = (
            f"{steps[0]:,}" if steps[0] >= 0 else "diverged" if diverged[0] else "not arrived"
        )
        reference = f"{line.reference:,}" if line.reference else line.note
        ratio = f"{steps[0] / line.reference:.3f}" if line.reference and steps[0] >= 0 else ""
        cells = [line.rule, f"{line.rate:g}", measured, reference, ratio]
        if more:
            arrived = steps[steps >= 0]
            cells += (
                [f"{np.median(arrived):.0f}", f"{arrived.min()} to {arrived.max()}"]
                if len(arrived)
                else ["", ""]
            )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def panels(outcomes: list[Outcome]) -> list[Panel]:
    """One panel for each experiment: of the fixed steps on Rosenbrock's surface, those of the first
    learning rate.
    """
    extents = {Rosenbrock: (-1.8, 1.6, -0.5, 1.6), Beale: (0.6, 3.3, -0.5, 1.3)}
    chosen = []
    for experiment, outcome, after in zip(EXPERIMENTS, outcomes, (5000, 200, 500), strict=True):
        task, rate = experiment.task, experiment.lines[0].rate
        shown = {
            line.rule: path
            for line, path in zip(experiment.lines, outcome.paths, strict=True)
            if line.rate == rate
        }
        title = experiment.title if experiment.chaotic else f"{experiment.title} {rate:g}"
        chosen.append(Panel(title, _surface(task), task.minimum, extents[type(task)], after, shown))
    return chosen


def _surface(task: Surface) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    def total(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        point = torch.from_numpy(np.stack([x, y], axis=-1).reshape(-1, 2))
        losses: Any = [loss({"point": point}, {}) for loss in task.losses().values()]
        return sum(losses).numpy().reshape(x.shape)

    return total


def run() -> None:
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
    output = arguments.output or (
        ROOT / "docs/results/surfaces.png" if arguments.dtype == "float64" else None
    )
    if output and not output.parent.is_dir():
        parser.error(f"--output {output}: there is no folder {str(output.parent)!r}")
    torch.set_num_threads(1)
    outcomes = []
    for experiment in EXPERIMENTS:
        copies = arguments.copies if experiment.chaotic else 1
        outcomes.append(
            play(experiment, arguments.max_steps, copies, getattr(torch, arguments.dtype))
        )
        print(report(experiment, outcomes[-1]), flush=True, end="\n\n")
    if output:
        draw(panels(outcomes), TOLERANCE, output)
