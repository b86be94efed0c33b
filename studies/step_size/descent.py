"""Meta-gradient descent on a step size: η ← max(0, η − F′(η) / (100 √k)), naive against log."""

from typing import Literal

import numpy as np

from agents.learners.meta_gradients.descent import Descent
from agents.learners.meta_gradients.options import MetaGradientOptions
from agents.learners.meta_gradients.tuned import Tuned
from agents.learners.meta_gradients.unrolling import meta_gradient
from studies.markdown import table
from studies.step_size.figure import COLORS, new_figure, save
from studies.step_size.settings import (
    HORIZONS,
    Settings,
    best_step_size,
    keys,
    published_problem,
    quadratic,
)

_START = 0.1
_LIMITS = (1e-3, 1e4)  # of the picture, with 0 at the lower end
_SHOWN = (10, 100, 300)  # meta-steps of the table
Path = np.ndarray  # the step sizes after each meta-step, the first one before all


def descend(steps: int, meta_steps: int, objective: Literal["final", "log"]) -> Path:
    """The step sizes of a meta-descent on the published problem, (meta_steps + 1,), float64.

    Where the derivative is not finite, the step size stays.
    """
    options = MetaGradientOptions(
        objective=objective,
        step_size="plain",
        start=_START,
        meta_learning_rate=0.01,
        precision="float64",
    )
    task = quadratic(published_problem(), steps)
    descent = Descent(Tuned(options, 1, steps))
    path = [descent.numbers.item()]
    for _ in range(meta_steps):
        if not descent.skipped:
            descent.step(meta_gradient(task, keys(1), descent.numbers[None], options))
        path.append(descent.numbers.item())
    return np.array(path)


def run(settings: Settings) -> None:
    horizons = HORIZONS[:2] if settings.quick else HORIZONS
    meta_steps = 20 if settings.quick else _SHOWN[-1]
    shown = [step for step in _SHOWN if step <= meta_steps]
    paths: dict[str, dict[int, Path]] = {"final": {}, "log": {}}
    rows = []
    best = {}
    for steps in horizons:
        best[steps] = best_step_size(published_problem(), steps)
        for objective in ("log", "final"):
            path = descend(steps, meta_steps, objective)
            paths[objective][steps] = path
            name = "(1/t) log f" if objective == "log" else "f"
            found = [f"{path[step]:.5g}" for step in shown]
            rows.append([str(steps), name, *found, f"{best[steps]:.5f}"])
    header = ["t", "objective", *[f"η after {step}" for step in shown], "best η"]
    print(table(header, rows, num_left=2))
    _draw(settings, paths, best)


def _draw(settings: Settings, paths: dict[str, dict[int, Path]], best: dict[int, float]) -> None:
    figure, panels = new_figure(len(best))
    labels = {"log": "F = (1/t) log f(w_t)", "final": "F = f(w_t)"}
    for axes, (steps, found) in zip(panels, best.items(), strict=True):
        for color, (name, label) in zip(COLORS, labels.items(), strict=False):
            shown = np.clip(paths[name][steps], *_LIMITS)
            axes.plot(shown, ".-", color=color, label=label, linewidth=0.5, markersize=2.5)
        axes.axhline(found, color="black", linewidth=0.9, linestyle=(0, (4, 3)), label="best")
        axes.set(yscale="log", ylim=_LIMITS, xlabel="meta-step k", title=f"t = {steps}")
    panels[0].set_ylabel("step size η")
    panels[0].legend(frameon=False, fontsize="small")
    save(figure, settings.output / "step_size_descent.png")
