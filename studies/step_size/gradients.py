"""Meta-gradients against the step size: naive against log, plain back-propagation against stable.

The problem is the published one of 20 dimensions. "Plain" is back-propagation through w itself, as
in any framework; "forward" and "backward" are those of this package, through the direction and the
logarithm of the length of w.
"""

from typing import Any

import numpy as np
import torch

from studies.markdown import table
from studies.step_size.figure import COLORS, new_figure, save
from studies.step_size.settings import (
    HORIZONS,
    Precision,
    Settings,
    published_problem,
    quadratic,
    slopes,
)

Problem = dict[str, tuple[float, ...]]
_SHOWN = (1e-2, 1e60)  # naive derivatives
_RIGHT = 1e-2  # a derivative with a smaller relative error counts as right


def exact_slopes(problem: Problem, step_sizes: np.ndarray, steps: int) -> np.ndarray:
    """Derivatives of (1/t) log f by the formula with eigenvalues, float64."""
    eigenvalues, start = np.array(problem["eigenvalues"]), np.array(problem["start"])
    factors = 1 - step_sizes[:, None] * eigenvalues
    scale = np.abs(factors).max(axis=1, keepdims=True)
    ratios = factors / scale
    above = (start**2 * eigenvalues**2 * ratios ** (2 * steps - 1)).sum(axis=1)
    below = (start**2 * eigenvalues * ratios ** (2 * steps)).sum(axis=1)
    return -2 / scale[:, 0] * above / below


def plain_slopes(
    problem: Problem, step_sizes: np.ndarray, steps: int, precision: Precision
) -> np.ndarray:
    """The same by back-propagation through w."""
    dtype = getattr(torch, precision)
    eigenvalues = torch.tensor(problem["eigenvalues"], dtype=dtype, device="cpu")
    rates = torch.from_numpy(step_sizes).to(dtype).requires_grad_()
    start = torch.tensor(problem["start"], dtype=dtype, device="cpu")
    point = start.repeat(len(rates), 1)
    for _ in range(steps):
        point = point - rates[:, None] * eigenvalues * point
    values = torch.log(0.5 * (eigenvalues * point.square()).sum(dim=1)) / steps
    return torch.autograd.grad(values.sum(), rates)[0].double().numpy()


def failures(found: np.ndarray, exact: np.ndarray) -> list[str]:
    """Shares of derivatives that are right, 0, not finite, and otherwise wrong, in per cent."""
    finite = np.isfinite(found)
    zero = finite & (found == 0) & (exact != 0)
    error = np.abs(np.where(finite, found, 0) - exact) / np.abs(exact)
    right = finite & (error < _RIGHT)
    wrong = finite & ~zero & ~right
    return [f"{100 * each.mean():.0f} %" for each in (right, zero, ~finite, wrong)]


def run(settings: Settings) -> None:
    problem = published_problem()
    count = 40 if settings.quick else 400
    rates = np.linspace(0, 0.1, count + 1)[1:]
    horizons = HORIZONS[:2] if settings.quick else HORIZONS
    rows = []
    curves: dict[int, dict[str, np.ndarray]] = {}
    for steps in horizons:
        exact = exact_slopes(problem, rates, steps)
        naive = slopes(quadratic(problem, steps), rates, "final")[1]
        curves[steps] = {"naive": naive, "log": exact}
        for precision in ("float32", "float64"):
            found = {"plain": plain_slopes(problem, rates, steps, precision)}
            for name in ("forward", "backward"):
                task = quadratic(problem, steps, precision)
                found[name] = slopes(task, rates, "log", precision, name)[1]
            for name, values in found.items():
                rows.append([str(steps), precision, name, *failures(values, exact)])
                if precision == "float32":
                    curves[steps][name] = np.abs(values - exact) / np.abs(exact)
    header = ["t", "precision", "way", "right", "0", "not finite", "wrong"]
    print(table(header, rows, num_left=3))
    _draw(settings, rates, curves)


def _draw(settings: Settings, rates: np.ndarray, curves: dict[int, dict[str, np.ndarray]]) -> None:
    figure, (naive, log, error) = new_figure(3)
    for color, (steps, found) in zip(COLORS, curves.items(), strict=False):
        size = np.abs(found["naive"])
        inside = np.where((size > _SHOWN[0]) & (size < _SHOWN[1]), size, np.nan)
        naive.plot(rates, inside, color=color, label=f"t = {steps}")
        log.plot(rates, found["log"], color=color, label=f"t = {steps}")
    naive.set(yscale="log", ylim=_SHOWN, ylabel="|dF/dη|", title="F = f(w_t)")
    log.set(ylabel="dF/dη", title="F = (1/t) log f(w_t)", yscale="symlog")
    log.axhline(0, color="black", linewidth=0.8)

    last = curves[80] if 80 in curves else list(curves.values())[-1]
    for color, (name, label) in zip(COLORS, _WAYS.items(), strict=False):
        shown = np.where(np.isfinite(last[name]), np.maximum(last[name], 1e-9), np.nan)
        error.plot(rates, shown, color=color, label=label)
    missing = ~np.isfinite(last["plain"])
    if missing.any():
        error.axvspan(rates[missing].min(), rates[-1], color="#c0392b", alpha=0.12, linewidth=0)
        error.annotate("plain: not a number", (0.97, 0.9), xycoords="axes fraction", ha="right")
    error.set(yscale="log", ylabel="relative error of dF/dη", title="float32, t = 80")
    for axes, place in ((naive, "upper left"), (log, "upper left"), (error, "center left")):
        axes.set_xlabel("step size η")
        axes.legend(frameon=False, fontsize="small", loc=place)
    save(figure, settings.output / "step_size_gradients.png")


_WAYS: dict[str, Any] = {
    "plain": "plain back-propagation",
    "backward": "back-propagation, normalised",
    "forward": "forward recursion",
}
