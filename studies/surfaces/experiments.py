"""The experiments on Rosenbrock's and Beale's surfaces, and how their lines are played."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.task import Control, Keys, State
from autoloss_gym.tasks.surfaces.beale import Beale
from autoloss_gym.tasks.surfaces.rosenbrock import Rosenbrock
from autoloss_gym.tasks.surfaces.surface import Surface
from autoloss_gym.tools import tree
from autoloss_gym.weightings.softadapt import SoftAdapt

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
    """One line for each rule; the note is for those without a count."""
    lines = []
    for rule, count in zip(rules, references, strict=True):
        lines.append(Line(rule, rate, count, note if count is None else ""))
    return tuple(lines)


_ROSENBROCK = Rosenbrock(start_width=0.0)
_BEALE = Beale(start_width=0.0)
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
    """Results of the lines of an experiment.

    Args:
        steps: to within the tolerance, (lines, copies), -1 where that was not reached.
        diverged: (lines, copies).
        paths: of every line's first copy, the points (steps, 2) that it visited.
    """

    steps: np.ndarray
    diverged: np.ndarray
    paths: list[np.ndarray]


def play(experiment: Experiment, max_steps: int, copies: int, dtype: torch.dtype) -> Outcome:
    """Play all lines until every run has arrived, diverged, or made `max_steps` steps.

    This is no episode of an environment: runs go on in float64, beyond any validation step, each
    line with a learning rate of its own.
    """
    task = experiment.task
    lines = experiment.lines
    rules = [RULES[line.rule]() for line in lines]
    rates = [line.rate / task.optimizer.learning_rate for line in lines]
    step_size = torch.tensor(rates, dtype=dtype).repeat_interleave(copies)
    state = start(task, len(lines), copies, dtype)
    steps = torch.full((len(state.steps),), -1)
    points = []
    for step in range(max_steps + 1):
        points.append(state.parameters["point"][::copies].clone())
        arrived = task.validate(state)[:, 0] < TOLERANCE
        steps = torch.where(arrived & (steps < 0), step, steps)
        if bool((state.diverged | (steps >= 0)).all()):
            break
        weights = _weigh(rules, task.measure(state).losses, copies)
        state, _ = task.update(state, Control(weights=weights, step_size=step_size))

    arrivals = steps.view(-1, copies).numpy()
    diverged = state.diverged.view(-1, copies).numpy()
    return Outcome(arrivals, diverged, _paths(torch.stack(points, dim=1).numpy(), arrivals[:, 0]))


def _weigh(rules: list[Weigh], losses: Tensor, copies: int) -> Tensor:
    """Weights (runs, losses) of each line by its rule; 1 for runs that have diverged.

    A rule is told losses of 1 for these, so that it never meets a loss that is not finite.
    """
    usable = torch.isfinite(losses).all(dim=1, keepdim=True)
    told = torch.where(usable, losses, 1.0).split(copies)
    weights = torch.cat([rule(part) for rule, part in zip(rules, told, strict=True)])
    return torch.where(usable, weights, 1.0)


def start(task: Surface, lines: int, copies: int, dtype: torch.dtype) -> State:
    """Runs at the start of the task, (lines · copies,).

    All copies of a line but the first are moved by up to `NUDGES`.
    """
    keys = torch.arange(copies).repeat(lines)
    state = tree.map_tensors(
        lambda leaf: leaf.to(dtype) if leaf.is_floating_point() else leaf,
        task.reset(Keys(keys, keys)),
    )
    exact = torch.tensor(task.start, dtype=dtype).expand(len(keys), 2)
    draw = random.uniform(random.fold_in(keys, "nudge"), (2,), -1.0, 1.0)
    nudge = draw.to(dtype) * NUDGES[dtype]
    state.parameters["point"] = torch.where(keys[:, None] > 0, exact + nudge, exact)
    return state


def _paths(points: np.ndarray, steps: np.ndarray) -> list[np.ndarray]:
    """The points (lines, steps, 2) of every line until it arrives, while they are finite."""
    paths = []
    for path, last in zip(points, steps, strict=True):
        cut = path[: last + 1] if last >= 0 else path
        paths.append(cut[np.isfinite(cut).all(axis=1)])
    return paths
