"""Tables and verdicts of the study of learned optimizers."""

from pathlib import Path

import numpy as np

from agents.evaluation.statistics import Estimate, bootstrap

from ..markdown import interval, table
from .learned import curves_file, read_curves, read_rate, read_spreads
from .learned_figure import LABELS, Runs, draw_curves, draw_figures
from .learned_settings import METAS, METHODS, NOISES, Settings

_LEARNED = tuple(f"{meta}_{method}" for meta in METAS for method in METHODS)
_BY_HAND = ("validation_sgd", "validation_adam")
_FLAT = ("train_evolution", "train_hessian", "train_entropy")
_UNCERTAIN = ("longer", "posterior")
_FIGURES = ("train_loss", "test_error", "test_loss", "calibration_error")
_MOST_LOSS = 100.0  # of a run that diverged


def write(folder: Path, pictures: Path, settings: Settings) -> str:
    """Draw the pictures of what a folder holds; return all tables."""
    panels = {}
    parts = []
    for noise in NOISES:
        title = f"{noise:.0%} random labels"
        entrants = (*_LEARNED, *_BY_HAND)
        panels[title] = {
            figure: {name: runs(folder, name, noise, figure, settings) for name in entrants}
            for figure in ("train_loss", "test_error")
        }
        parts.append(_main_table(folder, noise, settings))
    draw_curves(settings.steps, settings.horizon, panels, pictures / "step_size_learned.png")
    parts.append(_second_table(folder, settings))
    coverage, text = _coverage(folder, settings)
    parts.append(text)
    at = settings.steps.index(settings.horizon)
    rows = {
        name: {
            figure: bootstrap(runs(folder, name, 0.2, figure, settings)[at])
            for figure in ("test_error", "calibration_error")
        }
        for name in (*_FLAT, *_UNCERTAIN)
    }
    draw_figures(rows, coverage, nominal(settings), pictures / "step_size_learned_flat.png")
    return "\n\n".join(parts) + "\n"


def runs(folder: Path, name: str, noise: float, figure: str, settings: Settings) -> Runs:
    """A figure of all test runs of an entrant, (steps, seeds, problems)."""
    seeds = 1 if name in ("train_sgd", "train_adam", *_BY_HAND) else settings.seeds
    curves = [read_curves(curves_file(folder, name, noise, seed))[figure] for seed in range(seeds)]
    return np.stack([np.nan_to_num(each, nan=_MOST_LOSS).clip(0, _MOST_LOSS) for each in curves], 1)


def nominal(settings: Settings) -> float:
    """Share of exchangeable runs between the least and the greatest of `samples` others."""
    return (settings.samples - 1) / (settings.samples + 1)


def _main_table(folder: Path, noise: float, settings: Settings) -> str:
    steps = settings.steps
    at = steps.index(settings.horizon)
    rows = []
    for name in (*_LEARNED, "train_sgd", *_BY_HAND[:1], "train_adam", *_BY_HAND[1:]):
        meta, _, kind = name.partition("_")
        label = LABELS.get(name, "")
        if kind in ("sgd", "adam"):
            rate = read_rate(folder, kind, noise, meta)
            named = {"sgd": "SGD", "adam": "Adam"}[kind]
            label = f"{named}, tuned on the {meta} part ({rate:g})"
        found = {each: runs(folder, name, noise, each, settings) for each in _FIGURES}
        best = found["test_error"].mean(axis=(1, 2)).argmin()
        rows.append([
            label,
            _cell(found["train_loss"][at]),
            _cell(found["test_error"][at]),
            _cell(found["test_error"][-1]),
            _cell(found["test_loss"][at], ".2f"),
            f"{found['test_error'][best].mean():.3f} at {steps[best]}",
        ])  # fmt: skip
    header = ["optimizer", f"training loss at {steps[at]}", f"test error at {steps[at]}",
              f"test error at {steps[-1]}", f"test loss at {steps[at]}",
              "least test error"]  # fmt: skip
    lines = [_difference(folder, noise, method, settings) for method in METHODS]
    return f"### {noise:.0%} random labels\n\n{table(header, rows)}\n\n" + "\n".join(lines)


def _difference(folder: Path, noise: float, method: str, settings: Settings) -> str:
    """Test error of train-by-train minus train-by-validation, on the same problems."""
    at = settings.steps.index(settings.horizon)
    one, other = (
        runs(folder, f"{meta}_{method}", noise, "test_error", settings)[at] for meta in METAS
    )
    found = bootstrap(one - other)
    return (
        f"- {method}: train-by-train minus train-by-validation, test error at {settings.horizon}: "
        f"{interval(found, '+.3f')}"
    )


def _second_table(folder: Path, settings: Settings) -> str:
    at = settings.steps.index(settings.horizon)
    rows = []
    for name in (*_FLAT, *_UNCERTAIN):
        found = {each: runs(folder, name, 0.2, each, settings)[at] for each in _FIGURES}
        base = _FLAT[0] if name in _FLAT else _UNCERTAIN[0]
        plain = runs(folder, base, 0.2, "test_error", settings)[at]
        paired = bootstrap(found["test_error"] - plain)
        rows.append([
            LABELS[name],
            _cell(found["test_error"]),
            "" if name == base else interval(paired, "+.3f"),
            _cell(found["test_loss"], ".2f"),
            f"{found['test_loss'].std(axis=1).mean():.3f}",
            f"{found['test_error'].mean(axis=1).std(ddof=1):.3f}",
            _cell(found["calibration_error"]),
        ])  # fmt: skip
    header = ["optimizer", "test error", "paired difference", "test loss",
              "its deviation over problems", "deviation of the error over seeds",
              "calibration error"]  # fmt: skip
    return f"### Flat and uncertain, 20 % random labels\n\n{table(header, rows)}"


def _coverage(folder: Path, settings: Settings) -> tuple[dict[str, Estimate], str]:
    """Coverage and width of the intervals for the loss of one more run of the plain optimizer."""
    names = {
        "posterior": "weights drawn",
        "posterior_and_restarts": "weights and restart drawn",
        "restarts": "restart drawn, plain weights",
    }
    stored = [read_spreads(folder, seed) for seed in range(settings.seeds)]
    coverage = {}
    rows = []
    for name, label in names.items():
        covered = []
        widths = []
        for each in stored:
            values = np.nan_to_num(each[name], nan=_MOST_LOSS)
            truth = np.nan_to_num(each["truth"][0], nan=_MOST_LOSS)
            low, high = values.min(axis=0), values.max(axis=0)
            covered.append((low <= truth) & (truth <= high))
            widths.append(high - low)
        coverage[label] = bootstrap(np.array(covered, dtype=np.float64))
        means = bootstrap(np.array([each[name].mean(axis=0) for each in stored]))
        rows.append([label, interval(means), interval(coverage[label], ".2f"),
                     interval(bootstrap(np.array(widths)))])  # fmt: skip
    header = ["interval from", "mean test loss", "coverage", "width"]
    text = (
        f"### Intervals of {settings.samples} runs for the test loss of one more\n\n"
        f"{table(header, rows)}\n\nWanted: a coverage of {nominal(settings):.2f}."
    )
    return coverage, text


def _cell(values: np.ndarray, form: str = ".3f") -> str:
    """Mean of figures (seeds, problems) with its interval."""
    return interval(bootstrap(values), form)
