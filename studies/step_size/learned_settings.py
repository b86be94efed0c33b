"""What the study of learned optimizers trains and plays; imports nothing slow."""

from dataclasses import dataclass, field
from typing import Any

NOISES = (0.0, 0.2)
METHODS = ("unroll", "evolution")
METAS = ("train", "validation")
# Of each method: training runs at a time, meta-steps, and its hyper-parameters.
_UNROLL = {"learning_rate": 0.01}
_EVOLUTION = {"learning_rate": 0.02, "deviation": 0.1}
# Chosen on validation problems with one short training each: the Hessian norm among .02, .1 and .5
# (with which nothing is learned), the entropy among 1 with a radius of .2 and 3 with .3.
FLATNESS: dict[str, dict[str, Any]] = {
    "hessian": {"flatness_weight": 0.1},
    "entropy": {"flatness_weight": 3.0, "flatness_radius": 0.3},
}
# Optimizers by hand, whose rate is tuned on training problems.
GRIDS = {
    "sgd": (0.03, 0.1, 0.2, 0.3, 0.5, 1.0),
    "adam": (1e-3, 3e-3, 1e-2, 2e-2, 3e-2, 0.1),
}


@dataclass(frozen=True)
class Cell:
    """One kind of meta-training.

    Args:
        name: of it, part of the names of its files.
        label_noise: of its problems.
        options: hyper-parameters of the learner.
        follows: name of the cell whose weights it begins with; "" for random ones.
    """

    name: str
    label_noise: float
    options: dict[str, Any] = field(default_factory=dict)
    follows: str = ""


@dataclass(frozen=True)
class Settings:
    """Sizes of the study.

    Args:
        seeds: meta-trainings of each kind.
        unroll_runs, evolution_runs: training runs at a time.
        iterations: meta-steps.
        following: meta-steps of a training that begins with the weights of another.
        horizon: updates of a run in meta-training.
        steps: at which test runs are measured.
        problems: of a test.
        samples: sets of weights, or restarts, on each problem, for intervals.
        tuning: problems on which the rates of optimizers by hand are tuned.
    """

    seeds: int = 5
    unroll_runs: int = 8
    evolution_runs: int = 32
    iterations: int = 150
    following: int = 100
    horizon: int = 200
    steps: tuple[int, ...] = (0, 10, 20, 30, 50, 75, 100, 150, 200, 300, 400, 600)
    problems: int = 32
    samples: int = 8
    tuning: int = 32


QUICK = Settings(
    seeds=2, unroll_runs=2, evolution_runs=4, iterations=2, following=1, horizon=40,
    steps=(0, 20, 40), problems=3, samples=2, tuning=2,
)  # fmt: skip


def cells() -> list[Cell]:
    """All meta-trainings; one that follows another comes after it."""
    found = []
    for noise in NOISES:
        for meta in METAS:
            for method in METHODS:
                found.append(Cell(f"{meta}_{method}", noise, _options(method, meta)))
    for flatness, chosen in FLATNESS.items():
        options = {"flatness": flatness, **chosen}
        found.append(Cell(f"train_{flatness}", 0.2, {**_options("evolution", "train"), **options}))
    followed = "validation_evolution"
    plain = _options("evolution", "validation")
    found.append(Cell("longer", 0.2, plain, followed))
    found.append(Cell("posterior", 0.2, {**plain, "posterior": True, "deviation": 0.05}, followed))
    return found


def _options(method: str, meta: str) -> dict[str, Any]:
    own = _UNROLL if method == "unroll" else _EVOLUTION
    return {"method": method, "meta": meta, "loss_weights": (1.0, 0.0), **own}
