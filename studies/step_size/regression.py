"""Learning rate and loss weight of the quadratic regression: meta-gradients against a grid.

Both tune one pair of numbers for all problems by the validation error at the end of a run, with as
many training runs; what they find is played on the same unseen problems, beside plain training.
"""

import itertools
import math

import numpy as np
import torch

from agents.evaluation.statistics import bootstrap, paired_difference
from agents.learners.meta_gradients.descent import Descent
from agents.learners.meta_gradients.options import MetaGradientOptions
from agents.learners.meta_gradients.tuned import Tuned
from agents.learners.meta_gradients.unrolling import meta_gradient
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from studies.markdown import interval, table
from studies.step_size.figure import COLORS, new_figure, save
from studies.step_size.settings import Settings, keys, trained

_TASK = QuadraticRegression(dimension=8, num_samples=40, max_steps=100)
_OPTIONS = MetaGradientOptions(loss_weights=True, objective="final", meta_learning_rate=0.1)
_WEIGHTS = np.linspace(-3, 4, 8)  # logarithms of the penalty's weight by that of the fit
_STEPS = np.linspace(-1, 4, 11)  # logarithms of the factor on the learning rate
_PROBLEMS = 32  # of a meta-step, and of each point of the grid
_UNSEEN = 1 << 30  # the first number of the unseen problems


def tuned(seed: int, meta_steps: int) -> np.ndarray:
    """The logarithms after each meta-step, (meta_steps + 1, 2)."""
    descent = Descent(Tuned(_OPTIONS, len(_TASK.pairs), _TASK.max_steps))
    path = [descent.numbers]
    for step in range(meta_steps):
        runs = keys(_PROBLEMS, (seed * meta_steps + step) * _PROBLEMS)
        numbers = descent.numbers.repeat(_PROBLEMS, 1)
        descent.step(meta_gradient(_TASK, runs, numbers, _OPTIONS))
        path.append(descent.numbers)
    return torch.stack(path).numpy()


def searched(seed: int, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean validation error at the points of the grid, and the best point.

    All points meet the same problems.
    """
    grid = list(itertools.product(_WEIGHTS, _STEPS))[:points]
    runs = keys(_PROBLEMS, _UNSEEN // 2 + seed * _PROBLEMS)
    errors = []
    for point in grid:
        state = trained(_TASK, runs, torch.tensor(point, dtype=torch.float32), _OPTIONS)
        errors.append(float(_TASK.validate(state)[:, 0].double().mean()))
    return np.array(errors), np.array(grid[int(np.argmin(errors))])


def scores(point: np.ndarray, problems: int) -> np.ndarray:
    """Excess risks on unseen problems, (problems,)."""
    numbers = torch.from_numpy(point).to(torch.float32)
    state = trained(_TASK, keys(problems, _UNSEEN), numbers, _OPTIONS)
    return _TASK.score(state)[:, 0].double().numpy()


def run(settings: Settings) -> None:
    points = 9 if settings.quick else len(_WEIGHTS) * len(_STEPS)
    meta_steps = 5 if settings.quick else points
    problems = 20 if settings.quick else 300
    paths = [tuned(seed, meta_steps) for seed in range(settings.seeds)]
    grids = [searched(seed, points) for seed in range(settings.seeds)]
    found = {
        "plain training": [np.zeros(2)],
        "grid": [best for _, best in grids],
        "meta-gradient": [path[-1] for path in paths],
    }
    runs = {"plain training": 0, "grid": points * _PROBLEMS}
    runs["meta-gradient"] = meta_steps * _PROBLEMS
    risks = {
        name: np.stack([scores(each, problems) for each in rows]) for name, rows in found.items()
    }
    rows = []
    for name, numbers in found.items():
        factors = np.exp(np.stack(numbers))
        shown = [_spread(factors[:, 1]), _spread(factors[:, 0])]
        difference = ""
        if name != "grid":
            difference = interval(paired_difference(risks[name], risks["grid"]))
        rows.append([name, f"{runs[name]:,}", *shown, interval(bootstrap(risks[name])), difference])
    header = ["way", "training runs", "step size", "weight of the penalty", "excess risk"]
    print(table([*header, "by the grid's"], rows))
    _draw(settings, paths, grids)


def _spread(values: np.ndarray) -> str:
    """Geometric mean and range over the seeds."""
    middle = math.exp(np.log(values).mean())
    return f"{middle:.3g} ({values.min():.3g} to {values.max():.3g})"


def _draw(
    settings: Settings, paths: list[np.ndarray], grids: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    figure, (axes,) = new_figure(1)
    errors = np.mean([values for values, _ in grids], axis=0)
    if len(errors) == len(_WEIGHTS) * len(_STEPS):
        heights = np.log(errors).reshape(len(_WEIGHTS), len(_STEPS))
        axes.contourf(_STEPS, _WEIGHTS, heights, levels=20, cmap="YlGnBu_r", alpha=0.6)
    for path in paths:
        axes.plot(path[:, 1], path[:, 0], color=COLORS[1], linewidth=1.2, alpha=0.8)
        axes.plot(*path[-1, ::-1], "o", color=COLORS[1], markeredgecolor="white")
    for _, (weight, step) in grids:
        axes.plot(step, weight, "*", color="black", markersize=10, alpha=0.6)
    axes.set(xlabel="log step size", ylabel="log weight of the penalty")
    axes.set_title("● meta-gradient   ★ grid", loc="left", fontsize="medium")
    save(figure, settings.output / "step_size_regression.png")
