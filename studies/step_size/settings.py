"""What the parts of the study share: settings, and the quadratic whose numbers are published."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from agents.learners.meta_gradients.options import MetaGradientOptions
from agents.learners.meta_gradients.tuned import Tuned
from agents.learners.meta_gradients.unrolling import meta_gradient
from autoloss_gym import random
from autoloss_gym.core.state import Keys, State
from autoloss_gym.core.task import Task
from autoloss_gym.tasks.step_sizes.quadratic import QuadraticStepSize

Precision = Literal["float32", "float64"]
HORIZONS = (5, 20, 80, 320)  # updates t of a run


@dataclass(frozen=True)
class Settings:
    """What all parts are told.

    Args:
        output: folder of the pictures.
        seeds: trainings, or sets of problems, behind each figure.
        quick: whether sizes are small.
        results: folder of what is kept, so that a part goes on after a kill.
    """

    output: Path
    seeds: int
    quick: bool
    results: Path = Path("results/step_size")


def published_problem() -> dict[str, tuple[float, ...]]:
    """Eigenvalues and start of ½ wᵀXᵀX w with X (20, 20) and w normal, `default_rng(0)`.

    The start is in the basis of the eigenvectors.
    """
    generator = np.random.default_rng(0)
    root = generator.normal(size=(20, 20))
    start = generator.normal(size=20)
    values, vectors = np.linalg.eigh(root.T @ root)
    return {"eigenvalues": tuple(values.tolist()), "start": tuple((vectors.T @ start).tolist())}


def quadratic(
    problem: dict[str, Any], steps: int, precision: Precision = "float64"
) -> QuadraticStepSize:
    """Gradient descent on that problem, whose factors are the step sizes themselves."""
    return QuadraticStepSize(
        **problem, dtype=precision, max_steps=steps, validate_every=1, learning_rate=1.0
    )


def keys(count: int, first: int = 0) -> Keys:
    """Training runs with problems of these numbers."""
    root = random.fold_in(torch.zeros(count, dtype=torch.int64, device="cpu"), "study")
    numbers = torch.arange(first, first + count, dtype=torch.int64, device="cpu")
    problem = random.fold_in(root, numbers)
    return Keys(problem=problem, run=random.fold_in(problem, "run"), split="train")


def slopes(
    task: Task,
    step_sizes: np.ndarray,
    objective: Literal["final", "log"] = "log",
    precision: Precision = "float64",
    differentiation: Literal["forward", "backward"] = "forward",
) -> tuple[np.ndarray, np.ndarray]:
    """Objective and its derivative by the step size at each of them, of the same problem."""
    options = MetaGradientOptions(
        step_size="plain",
        objective=objective,
        precision=precision,
        differentiation=differentiation,
    )
    numbers = torch.from_numpy(step_sizes)[:, None]
    one = keys(1)
    same = Keys(problem=one.problem.repeat(len(numbers)), run=one.run.repeat(len(numbers)))
    found = meta_gradient(task, same, numbers, options)
    return found.values.double().numpy(), found.gradients[:, 0].double().numpy()


def best_step_size(problem: dict[str, Any], steps: int) -> float:
    """The zero of the derivative of the log objective, on ever finer grids."""
    low, high = 0.0, 4 / max(problem["eigenvalues"])
    task = quadratic(problem, steps)
    for _ in range(4):
        grid = np.linspace(low, high, 101)
        first = int(np.argmax(slopes(task, grid)[1] >= 0))
        low, high = grid[first - 1], grid[first]
    return (low + high) / 2


@torch.no_grad()
def trained(task: Task, runs: Keys, numbers: torch.Tensor, options: MetaGradientOptions) -> State:
    """The runs at their end, all trained with what a vector of numbers stands for."""
    tuned = Tuned(options, len(task.pairs), task.max_steps)
    state = task.reset(runs)
    rows = numbers.to(torch.float32).repeat(len(runs.run), 1)
    for update in range(task.max_steps):
        state, _ = task.update(state, tuned.control(rows, update))
    return state
