"""Numbers of the problems of a training: none is used by two of its phases, or by other seeds."""

import numpy as np

from ...configuration import MOST_RUNS, TrainingConfiguration
from ...environments import SEED_SPACING
from .options import GroupOptions

_SEARCH = 0
_MEASUREMENT = SEED_SPACING // 4
_UPDATES = _MEASUREMENT + MOST_RUNS


def first_of_search(configuration: TrainingConfiguration) -> int:
    """The first problem of the search."""
    return configuration.seed * SEED_SPACING + _SEARCH


def of_measurement(configuration: TrainingConfiguration) -> np.ndarray:
    """Problems on which the base is observed, one a run."""
    first = configuration.seed * SEED_SPACING + _MEASUREMENT
    return first + np.arange(configuration.num_envs)


def of_update(configuration: TrainingConfiguration, copies: int, update: int) -> np.ndarray:
    """Problems of an update, each repeated for its copies, (num_envs,), int64."""
    problems = configuration.num_envs // copies
    first = configuration.seed * SEED_SPACING + _UPDATES + update * problems
    return np.repeat(first + np.arange(problems), copies)


def check_numbers(
    configuration: TrainingConfiguration, options: GroupOptions, updates: int
) -> None:
    """ValueError unless the runs are groups, and there are problems enough for all updates."""
    if configuration.num_envs % options.copies:
        raise ValueError(
            f"--num-envs {configuration.num_envs}: expected a multiple of copies={options.copies}"
        )
    used = updates * (configuration.num_envs // options.copies)
    available = SEED_SPACING - _UPDATES
    if used > available:
        raise ValueError(
            f"{updates:,} updates use {used:,} problems, of which a seed has {available:,}: "
            "give a smaller --n-timesteps, or more copies"
        )
