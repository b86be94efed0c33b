"""Learned optimizers of small classifiers of digits: trained on the training or the validation
part, by unrolls or by evolution strategies, beside tuned optimizers by hand; then the flat and the
uncertain ones.

What has been trained and played is kept in `runs/step_size_learned` and not made again.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.learners.learned_optimizers.meta_training import MetaTraining
from agents.learners.learned_optimizers.options import LearnedOptimizerOptions
from autoloss_gym import random
from autoloss_gym.optimizers import SGD, Adam, LearnedOptimizer, Optimizer
from autoloss_gym.optimizers.learned_files import read_weights, write_weights
from autoloss_gym.tasks.images.image_classification import ImageClassification
from autoloss_gym.tools.forms import Array, Real
from autoloss_gym.tools.stored import read_arrays, read_values, write_arrays, write_values

from .. import ROOT
from .learned_playing import CURVES, Curves, mean_loss, play, problem_keys
from .learned_settings import GRIDS, NOISES, QUICK, Cell, Settings, cells

# (sets of weights or restarts, problems), and one more run of each problem to be covered.
SPREADS = ("posterior", "posterior_and_restarts", "restarts", "truth")
_BY_HAND: dict[str, type[Optimizer]] = {"sgd": SGD, "adam": Adam}
_FORM = {name: Array("float32", (None, None), finite=False) for name in CURVES}


def run(told: Any) -> None:
    """The part of the study: `told` are the settings of all parts."""
    from .learned_report import write  # noqa: PLC0415 (it imports this module)

    settings = QUICK if told.quick else Settings(seeds=told.seeds)
    if told.quick:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), settings, _say)
            print(write(Path(folder), told.output, settings))
        return
    kept = ROOT / "runs" / "step_size_learned"
    measure(kept, settings, _say)
    print(write(kept, told.output, settings))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def task_with(label_noise: float, settings: Settings) -> ImageClassification:
    """The problems: 100 images of 8 × 8 pixels, 64-10-10 units."""
    return ImageClassification(
        num_samples=100,
        hidden_sizes=(10,),
        label_noise=label_noise,
        max_steps=settings.steps[-1],
        validate_every=1,
    )


def measure(folder: Path, settings: Settings, say: Callable[[str], None]) -> None:
    """Make all that is missing in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for noise in NOISES:
        for name in GRIDS:
            _by_hand(folder, noise, name, settings, say)
    for seed in range(settings.seeds):
        for cell in cells():
            started = time.monotonic()
            if _trained(folder, cell, seed, settings):
                say(f"{cell.name} at noise {cell.label_noise}, seed {seed}: "
                    f"{time.monotonic() - started:.0f} s")  # fmt: skip
            weights = weights_file(folder, cell.name, cell.label_noise, seed)
            optimizer = LearnedOptimizer(file=str(weights))
            _played(curves_file(folder, cell.name, cell.label_noise, seed), optimizer,
                    cell.label_noise, settings)  # fmt: skip
        _spreads(folder, seed, settings)


def weights_file(folder: Path, name: str, noise: float, seed: int) -> Path:
    """Weights of a meta-training."""
    return folder / f"{name}_{noise:g}_{seed}.safetensors"


def curves_file(folder: Path, name: str, noise: float, seed: int = 0) -> Path:
    """Curves of test runs."""
    return folder / f"curves_{name}_{noise:g}_{seed}.safetensors"


def read_curves(path: Path) -> Curves:
    """What `measure` stored of test runs."""
    return read_arrays(path, _FORM)


def read_rate(folder: Path, name: str, noise: float, meta: str) -> float:
    """The rate of an optimizer by hand that is best on a part of training problems."""
    return float(read_values(_rate_file(folder, name, noise), _rate_form())[meta])


def read_spreads(folder: Path, seed: int) -> dict[str, np.ndarray]:
    """Test losses after the horizon, (sets of weights or restarts, problems), by `SPREADS`."""
    form = {name: Array("float32", (None, None), finite=False) for name in SPREADS}
    return read_arrays(folder / f"spreads_{seed}.safetensors", form)


def _by_hand(
    folder: Path, noise: float, name: str, settings: Settings, say: Callable[[str], None]
) -> None:
    """Tune the rate of an optimizer by hand on either part, and play the best."""
    task = task_with(noise, settings)
    file = _rate_file(folder, name, noise)
    kind = _BY_HAND[name]
    if not file.exists():
        keys = problem_keys("train", settings.tuning)
        best = {}
        for meta, part in (("train", "training"), ("validation", "validation")):
            losses = [
                mean_loss(task, kind(learning_rate=rate), keys, part, settings.horizon)
                for rate in GRIDS[name]
            ]
            best[meta] = GRIDS[name][int(np.argmin(losses))]
        write_values(file, best)
        say(f"{name} at noise {noise}: {best}")
    for meta, rate in read_values(file, _rate_form()).items():
        path = curves_file(folder, f"{meta}_{name}", noise)
        _played(path, kind(learning_rate=rate), noise, settings)


def _rate_file(folder: Path, name: str, noise: float) -> Path:
    return folder / f"rate_{name}_{noise:g}.json"


def _rate_form() -> dict[str, Any]:
    return {"train": Real(0, 10), "validation": Real(0, 10)}


def _trained(folder: Path, cell: Cell, seed: int, settings: Settings) -> bool:
    """Make the weights of a cell; whether there was anything to do."""
    file = weights_file(folder, cell.name, cell.label_noise, seed)
    if file.exists():
        return False
    start = ""
    iterations = settings.iterations
    if cell.follows:
        start = str(weights_file(folder, cell.follows, cell.label_noise, seed))
        iterations = settings.following
    options = LearnedOptimizerOptions(horizon=settings.horizon, start=start, **cell.options)
    num_runs = settings.unroll_runs if options.method == "unroll" else settings.evolution_runs
    task = task_with(cell.label_noise, settings)
    # A training that follows another meets other problems.
    own_seed = seed + 1000 * bool(cell.follows)
    training = MetaTraining(task, options, num_runs, own_seed, torch.device("cpu"))
    for _ in range(iterations):
        training.iterate()
    write_weights(file, training.weights.stored())
    return True


def _played(path: Path, optimizer: Optimizer, noise: float, settings: Settings) -> None:
    """Play the test problems, unless their curves are there."""
    if not path.exists():
        keys = problem_keys("test", settings.problems)
        write_arrays(path, play(task_with(noise, settings), optimizer, keys, settings.steps))


def _spreads(folder: Path, seed: int, settings: Settings) -> None:
    """Losses after the horizon under sets of weights of the posterior, and under restarts."""
    path = folder / f"spreads_{seed}.safetensors"
    if path.exists():
        return
    posterior = read_weights(weights_file(folder, "posterior", 0.2, seed))
    plain = read_weights(weights_file(folder, "longer", 0.2, seed))
    assert posterior.deviation is not None
    mean = torch.from_numpy(posterior.mean)
    deviation = torch.from_numpy(posterior.deviation)
    point = torch.from_numpy(plain.mean)
    key = torch.full((1,), seed, dtype=torch.int64)
    rows: dict[str, list[np.ndarray]] = {name: [] for name in SPREADS}
    for sample in range(settings.samples):
        noise = random.normal(random.fold_in(key, sample), mean.shape)[0]
        drawn = mean + deviation * noise
        rows["posterior"].append(_losses(drawn, 0, settings))
        rows["posterior_and_restarts"].append(_losses(drawn, 1 + sample, settings))
        rows["restarts"].append(_losses(point, 1 + sample, settings))
    rows["truth"].append(_losses(point, 1 + settings.samples, settings))
    write_arrays(path, {name: np.stack(values) for name, values in rows.items()})


def _losses(weights: torch.Tensor, draw: int, settings: Settings) -> np.ndarray:
    """Test losses after the horizon under one set of weights."""
    keys = problem_keys("test", settings.problems, draw)
    optimizer = LearnedOptimizer(weights=weights)
    played = play(task_with(0.2, settings), optimizer, keys, (settings.horizon,))
    return played["test_loss"][-1]
