"""The base schedule of a training on disk, with what the training has cost: schedule.json, which
runs no code when it is read.
"""

from pathlib import Path
from typing import Any

import numpy as np

from autoloss_gym.controls.schedule import Schedule
from autoloss_gym.tools.arguments import build
from autoloss_gym.tools.forms import Many, Named, Real
from autoloss_gym.tools.stored import read_values, write_values

from ...schedule_vectors import plain
from ..checkpoints import COUNT

SCHEDULE = "schedule.json"
_ARRAYS = ("weights", "step_size")
_LARGEST = 1e30
_FORM = {
    "weights": Many(Many(Real(0, _LARGEST))),
    "step_size": Many(Real(0, _LARGEST)),
    "training_runs": Named(),
}


def save_base(folder: Path, base: Schedule, training_runs: dict[str, int]) -> None:
    """Store the base schedule, and how many training runs each phase has used."""
    content = {**plain(base), "training_runs": training_runs}
    write_values(folder / SCHEDULE, content)


def load_base(folder: Path) -> dict[str, Any]:
    """The base schedule as the arguments of a `Schedule`.

    Raises:
        ValueError: there is none, or it is no schedule.
    """
    stored = _read(folder)
    try:
        return plain(build(Schedule, {name: stored[name] for name in _ARRAYS}))
    except ValueError as error:
        raise ValueError(f"{str(folder / SCHEDULE)!r}: {error}") from None


def load_training_runs(folder: Path) -> int:
    """The training runs of all phases together.

    Raises:
        ValueError: as in `load_base`.
    """
    runs = _read(folder)["training_runs"]
    if not all(map(COUNT.fits, runs.values())):
        raise ValueError(f"{str(folder / SCHEDULE)!r}: training_runs={runs}: expected each {COUNT}")
    return sum(runs.values())


def _read(folder: Path) -> dict[str, Any]:
    try:
        return read_values(folder / SCHEDULE, _FORM)
    except FileNotFoundError:
        raise ValueError(
            f"{str(folder)!r} holds no {SCHEDULE}: its training was stopped before the first save"
        ) from None


def as_array(schedule: Schedule | None, num_pairs: int) -> np.ndarray:
    """Weights and, in the last column, step sizes, (knots, pairs + 1); no rows for None."""
    if schedule is None:
        return np.zeros((0, num_pairs + 1), dtype=np.float64)
    return np.column_stack([schedule.weights, schedule.step_size]).astype(np.float64)


def from_array(values: np.ndarray) -> Schedule | None:
    """What `as_array` was given."""
    if not len(values):
        return None
    columns = {"weights": values[:, :-1].tolist(), "step_size": values[:, -1].tolist()}
    return build(Schedule, columns)
