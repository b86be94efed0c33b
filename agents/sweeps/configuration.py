"""The file of a sweep: trainings, their seeds, and what they are compared with; imports nothing
slow.
"""

import argparse
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from autoloss_gym.tools.names import shown, unknown

from ..command_line import environment_arguments
from ..configuration import MOST_RUNS, MOST_STEPS, WITH_POLICY, TrainingConfiguration
from ..yaml_values import read_file

# Names in the file, with the value of those that may be left out; None for those that may not.
_DEFAULTS: dict[str, Any] = {
    "env": None,
    "trainings": None,
    "env_kwargs": {},
    "seeds": 5,
    "policies": [],
    "episodes": 200,
    "split": "test",
    "seed": 0,
    "deterministic": False,
    "runs_per_cell": None,
}
_OF_TRAINING = ("algo", "num_envs", "n_timesteps", "checkpoint_every", "hyperparams")
_OWN = "hyperparams."  # begins the names of those
_SPLITS = ("test", "validation", "train")
_MOST_TRAININGS = 10_000
_MOST_SEEDS = 10_000


@dataclass(frozen=True)
class Training:
    """One combination of settings.

    Args:
        label: its algorithm and the settings in which it differs from others.
        settings: values by their names, those of the algorithm among `hyperparams`.
    """

    label: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Sweep:
    """What a sweep trains, and how it compares.

    Args:
        env, env_kwargs: the environment.
        trainings: each is trained with all seeds.
        seeds: of the trainings.
        policies: what they are compared with, as on the command line of `evaluate`.
        episodes, split, seed, deterministic, runs_per_cell: as of `evaluate`.
    """

    env: str
    env_kwargs: dict[str, Any]
    trainings: tuple[Training, ...]
    seeds: tuple[int, ...]
    policies: tuple[str, ...]
    episodes: int
    split: Literal["test", "validation", "train"]
    seed: int
    deterministic: bool
    runs_per_cell: int | None = None

    def configuration(self, training: Training, seed: int) -> TrainingConfiguration:
        """That of one training; ValueError for settings that no training has."""
        from ..commands.train import resolve

        settings: dict[str, Any] = dict.fromkeys((*_OF_TRAINING, "conf_file"))
        settings |= training.settings
        settings["hyperparams"] = list(training.settings["hyperparams"].items())
        pairs = list(self.env_kwargs.items())
        return resolve(argparse.Namespace(env=self.env, env_kwargs=pairs, seed=seed, **settings))


def load_sweep(path: Path) -> dict[str, Any]:
    """The content of a file; ValueError in one line where it cannot be read."""
    if not path.is_file():
        raise ValueError(f"sweep file {str(path)!r} does not exist")
    try:
        content = read_file(path)
    except ValueError as error:
        raise ValueError(f"sweep file {str(path)!r} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"sweep file {str(path)!r}: expected a mapping with env and trainings")
    return content


def read_sweep(content: Mapping[str, Any]) -> Sweep:
    """The sweep of a file.

    A list where a training has one value is an axis: every combination is trained. A value that is
    a list itself stands as a list within that list.

    Raises:
        ValueError: something in it is not what it should be.
    """
    for name in content:
        if name not in _DEFAULTS:
            raise ValueError(unknown("name in the sweep", str(name), tuple(_DEFAULTS)))
    values = {**_DEFAULTS, **content}
    for name in ("env", "trainings"):
        if values[name] is None:
            raise ValueError(f"the sweep has no {name}: expected env and trainings")
    if not isinstance(values["env"], str):
        raise ValueError(f"env: {shown(values['env'])}: expected the id of an environment")
    if not isinstance(values["env_kwargs"], dict):
        raise ValueError(f"env_kwargs: {shown(values['env_kwargs'])}: expected names and values")
    together = values["runs_per_cell"]
    return Sweep(
        env=values["env"],
        env_kwargs=environment_arguments(list(values["env_kwargs"].items())),
        trainings=tuple(_trainings(values["trainings"])),
        seeds=_seeds(values["seeds"]),
        policies=_texts(values["policies"]),
        episodes=_whole("episodes", values["episodes"], least=1, most=MOST_RUNS),
        split=_one_of("split", values["split"], _SPLITS),
        seed=_whole("seed", values["seed"], least=0),
        deterministic=_one_of("deterministic", values["deterministic"], (False, True)),
        runs_per_cell=None if together is None else _whole("runs_per_cell", together, least=1),
    )


def _trainings(grids: Any) -> list[Training]:
    """All combinations of each grid, with labels that differ."""
    if not (isinstance(grids, list) and grids and all(isinstance(each, dict) for each in grids)):
        raise ValueError(
            f"trainings: {shown(grids)}: expected a list of settings, such as - algo: ppo"
        )
    axes = [_axes(grid) for grid in grids]
    count = sum(math.prod(len(values) for values in each.values()) for each in axes)
    if count > _MOST_TRAININGS:
        raise ValueError(f"{count:,} trainings: expected at most {_MOST_TRAININGS:,}")
    chosen: list[dict[str, Any]] = []
    for each in axes:
        for values in itertools.product(*each.values()):
            settings = dict(zip(each, values, strict=True))
            if settings in chosen:
                raise ValueError(f"trainings: two are the same, {shown(settings)}: leave one out")
            chosen.append(settings)
    return [Training(_label(settings, chosen), _nested(settings)) for settings in chosen]


def _axes(grid: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The values of each setting; those of the algorithm are called hyperparams.NAME."""
    hyperparams = grid.get("hyperparams", {})
    if not isinstance(hyperparams, dict):
        raise ValueError(f"hyperparams: {shown(hyperparams)}: expected names and values")
    found = {
        "algo": [_of_training("algo", each) for each in _values("algo", grid.get("algo", "group"))]
    }
    for name, value in grid.items():
        if name not in _OF_TRAINING:
            raise ValueError(unknown("setting of a training", str(name), _OF_TRAINING))
        if name != "hyperparams":
            found[name] = [_of_training(name, each) for each in _values(name, value)]
    for name, value in hyperparams.items():
        found[f"{_OWN}{name}"] = _values(name, value)
    return found


def _values(name: str, value: Any) -> list[Any]:
    """Those that are tried, of a single value or a list."""
    if not isinstance(value, list):
        return [value]
    if not value:
        raise ValueError(f"{name}: an empty list: expected a value, or a list of values")
    return value


def _of_training(name: str, value: Any) -> Any:
    if name == "algo":
        return _one_of("algo", value, WITH_POLICY)
    return _whole(name, value, least=1, most=MOST_RUNS if name == "num_envs" else MOST_STEPS)


def _label(settings: Mapping[str, Any], chosen: Sequence[Mapping[str, Any]]) -> str:
    """The algorithm, and the settings in which others of that algorithm differ."""
    algo = settings["algo"]
    others = [each for each in chosen if each["algo"] == algo]
    words = [algo]
    for name, value in settings.items():
        if any(name not in other or other[name] != value for other in others):
            words.append(f"{name.removeprefix(_OWN)}={value}")
    return " ".join(words)


def _nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with those of the algorithm among `hyperparams`."""
    plain = {name: value for name, value in settings.items() if not name.startswith(_OWN)}
    own = [name for name in settings if name not in plain]
    return {**plain, "hyperparams": {name.removeprefix(_OWN): settings[name] for name in own}}


def _seeds(value: Any) -> tuple[int, ...]:
    """So many from 0 on, or those of a list."""
    if isinstance(value, list):
        seeds = tuple(_whole("seeds", each, least=0) for each in value)
    else:
        seeds = tuple(range(_whole("seeds", value, least=1, most=_MOST_SEEDS)))
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds: {shown(value)}: expected different numbers, at least one")
    return seeds


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"policies: {shown(value)}: expected a list, such as [grid, softadapt]")
    return tuple(dict.fromkeys(map(str, value)))


def _whole(name: str, value: Any, least: int, most: int = 2**31 - 1) -> int:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and least <= value <= most and value == int(value)):
        raise ValueError(
            f"{name}: {shown(value)}: expected a whole number from {least} to {most:,}"
        )
    return int(value)


def _one_of(name: str, value: Any, known: Sequence[Any]) -> Any:
    if value not in known:
        raise ValueError(f"{name}: {shown(value)}: expected {', '.join(map(str, known))}")
    return value
