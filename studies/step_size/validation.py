"""Train-by-train against train-by-validation: least squares of few samples, over noise and size.

A step size is chosen on a grid, by the mean error of many problems at the end of their runs: on
their training samples, or training on one half of these and judging by the other. It is then
played on new problems, training on all samples; the test error is exact.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch

from agents.evaluation.statistics import bootstrap
from agents.learners.meta_gradients.options import MetaGradientOptions
from autoloss_gym.core.task import Part
from autoloss_gym.tasks.step_sizes.least_squares import LeastSquaresStepSize
from studies.markdown import interval, table
from studies.step_size.figure import COLORS, new_figure, save
from studies.step_size.settings import Settings, keys, trained

_NOISES = (0.5, 1.0, 2.0, 4.0)
_SIZES = (25, 50, 100, 200, 400)
_GRID = np.logspace(-4, 0.25, 18)  # step sizes, four to a decade
_OPTIONS = MetaGradientOptions(step_size="plain")
_WAYS: dict[Part, str] = {"train": "train-by-train", "validation": "train-by-validation"}


@dataclass(frozen=True)
class Outcome:
    """What became of one setting and one way to choose.

    Args:
        chosen: the step size of each seed.
        test, train: root mean squared errors, (seeds, problems).
    """

    chosen: list[float]
    test: np.ndarray
    train: np.ndarray


def mean_objective(task: LeastSquaresStepSize, first: int, problems: int, rate: float) -> float:
    """Mean over problems of the error by which this task is judged, with this step size."""
    state = trained(task, keys(problems, first), torch.tensor([rate]), _OPTIONS)
    return float(task.objective(state, "validation").double().mean())


def outcome(
    meta: Part, noise: float, size: int, seeds: int, problems: int, grid: np.ndarray = _GRID
) -> Outcome:
    """Choose a step size for each seed, and play it on new problems."""
    chosen, test, train = [], [], []
    played = LeastSquaresStepSize(
        noise=noise, num_samples=size, learning_rate=1.0, validate_every=40
    )
    judged = dataclasses.replace(played, meta=meta)
    for seed in range(seeds):
        first = 2 * problems * seed
        errors = [mean_objective(judged, first, problems, rate) for rate in grid]
        rate = float(grid[int(np.argmin(errors))])
        unseen = keys(problems, first + problems)
        state = trained(played, unseen, torch.tensor([rate]), _OPTIONS)
        chosen.append(rate)
        test.append(played.score(state)[:, 0].double().numpy())
        train.append(played.validate(state)[:, 0].double().numpy())
    return Outcome(chosen, np.stack(test), np.stack(train))


def run(settings: Settings) -> None:
    problems = 8 if settings.quick else 40
    sweeps: dict[str, list[tuple[float, float, int]]] = {
        "noise σ": [(noise, noise, 50) for noise in _NOISES],
        "samples n": [(size, 1.0, size) for size in _SIZES],
    }
    rows = []
    curves = {}
    for name, points in sweeps.items():
        chosen = points[1:3] if settings.quick else points
        for value, noise, size in chosen:
            found = {way: outcome(way, noise, size, settings.seeds, problems) for way in _WAYS}
            curves[name, value] = found
            rows.append(_row(noise, size, found))
            print(" ".join(rows[-1]), flush=True)
    header = ["σ", "n", "η by training", "η by validation", "test, by training"]
    header += ["test, by validation", "gap", "train, by training", "train, by validation"]
    print("\n" + table(header, rows))
    _draw(settings, curves)


def _row(noise: float, size: int, found: dict[Part, Outcome]) -> list[str]:
    by_training, by_validation = found["train"], found["validation"]
    rates = [f"{np.median(each.chosen):.3g}" for each in found.values()]
    figures = [by_training.test, by_validation.test, by_training.test - by_validation.test]
    figures += [by_training.train, by_validation.train]
    return [f"{noise:g}", str(size), *rates, *[interval(bootstrap(each)) for each in figures]]


def _draw(settings: Settings, curves: dict[tuple[str, float], dict[Part, Outcome]]) -> None:
    figure, panels = new_figure(2)
    for axes, sweep in zip(panels, ("noise σ", "samples n"), strict=True):
        values = [value for name, value in curves if name == sweep]
        for color, (way, label) in zip(COLORS, _WAYS.items(), strict=False):
            for part, style in (("test", "o-"), ("train", "s:")):
                figures = [getattr(curves[sweep, value][way], part) for value in values]
                found = [bootstrap(each) for each in figures]
                middle = [each.value for each in found]
                axes.plot(values, middle, style, color=color, label=f"{label}, {part}")
                low, high = [each.low for each in found], [each.high for each in found]
                axes.fill_between(values, low, high, color=color, alpha=0.15, linewidth=0)
        axes.set(xscale="log", xlabel=sweep, ylabel="root mean squared error")
        axes.set_xticks(values, [f"{value:g}" for value in values], minor=False)
        axes.minorticks_off()
    panels[0].set_title("n = 50")
    panels[1].set_title("σ = 1")
    panels[0].legend(frameon=False, fontsize="small")
    save(figure, settings.output / "step_size_validation.png")
