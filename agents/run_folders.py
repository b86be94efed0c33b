"""Folders that keep what a command was told and what it made; imports nothing slow."""

import argparse
import contextlib
import itertools
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autoloss_gym.tools.forms import Many, Maybe, Named, OneOf, OrNone, Pair, Real, Text, Whole
from autoloss_gym.tools.stored import read_values, write_values

from .configuration import ALGORITHMS, MOST_STEPS, TrainingConfiguration

# Arguments that an evaluation does not keep: whom to trust is asked each time, and who plays.
_NOT_KEPT = ("resume", "trust_checkpoint", "cluster", "gpus_per_cell", "file")
_COUNT = Whole(1, MOST_STEPS)
_SEED = Whole(0, 2**31 - 1)
CONFIGURATION = {
    "algo": OneOf(ALGORITHMS),
    "env": Text(),
    "env_kwargs": Named(),
    "num_envs": _COUNT,
    "n_timesteps": _COUNT,
    "seed": _SEED,
    "hyperparameters": Named(),
    "checkpoint_every": Maybe(OrNone(_COUNT)),
    "data": Maybe(Text()),
}
_COMMAND = {
    "env": Text(),
    "env_kwargs": Many(Pair()),
    "policies": Many(Text()),
    "episodes": _COUNT,
    "split": OneOf(("test", "validation", "train")),
    "seed": _SEED,
    "deterministic": OneOf((False, True)),
    "num_workers": _COUNT,
    "num_threads": _COUNT,
    "output": Text(),
    "data": Maybe(Text()),
    "without_constant": Maybe(OneOf((False, True))),
    "runs_per_cell": Maybe(OrNone(_COUNT)),
}
_ADVICE = {
    "env": Text(),
    "env_kwargs": Many(Pair()),
    "episodes": _COUNT,
    "constants": _COUNT,
    "budget": _COUNT,
    "moments": Many(Real(0, 1)),
    "draw": OneOf((False, True)),
    "seed": _SEED,
    "num_workers": _COUNT,
    "num_threads": _COUNT,
    "output": Text(),
    "data": Text(),
}
_SWEEP = {
    "env": Text(),
    "content": Named(),
    "num_workers": _COUNT,
    "num_threads": _COUNT,
    "output": Text(),
    "data": Text(),
}


def new_run_folder(root: str, algo: str, env: str) -> Path:
    """Create and return `root`/`algo`/`env`_n with the smallest n that is free."""
    parent = Path(root) / algo
    parent.mkdir(parents=True, exist_ok=True)
    name = env.rpartition(":")[2].replace("/", "-")
    for n in itertools.count(1):
        folder = parent / f"{name}_{n}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            break
    return folder


@contextlib.contextmanager
def removed_if_nothing_is_kept(folder: Path, kept: str) -> Iterator[None]:
    """Removes a new folder where the block fails before there is anything to go on from.

    An interrupted command leaves its folder, from which it can go on, and so does one that has lost
    a process.

    Args:
        folder: of the command.
        kept: pattern of the files that it goes on from.
    """
    try:
        yield
    except ChildProcessError:
        raise
    except Exception:
        if not any(folder.glob(kept)):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def save_configuration(folder: Path, configuration: TrainingConfiguration) -> None:
    """Keep the configuration of a training in its run folder."""
    write_values(folder / "config.json", asdict(configuration))


def load_configuration(folder: Path) -> TrainingConfiguration:
    """The configuration of a run folder.

    Raises:
        ValueError: the folder is not one, or its file is damaged or from a newer version.
    """
    path = _file(folder, "config.json", "a run folder of a training")
    return TrainingConfiguration(**read_values(path, CONFIGURATION))


def save_command(folder: Path, arguments: argparse.Namespace) -> None:
    """Keep the arguments of an evaluation or a measurement, from which `--resume` goes on."""
    kept = {name: value for name, value in vars(arguments).items() if name not in _NOT_KEPT}
    write_values(folder / "command.json", kept)


def load_command(folder: Path) -> argparse.Namespace:
    """The arguments of the evaluation in a folder.

    Raises:
        ValueError: the folder is not one, or its file is damaged or from a newer version.
    """
    content = _load(folder, _COMMAND, "a result folder of an evaluation")
    content.setdefault("data", "")  # format 1 had none
    content.setdefault("without_constant", True)  # in older folders none was added
    content.setdefault("runs_per_cell", None)
    return argparse.Namespace(**content, resume=str(folder))


def load_advice(folder: Path) -> argparse.Namespace:
    """The arguments of the measurement of headroom in a folder.

    Raises:
        ValueError: the folder is not one, or its file is damaged or from a newer version.
    """
    content = _load(folder, _ADVICE, "a result folder of a measurement of headroom")
    return argparse.Namespace(**content, resume=str(folder))


def load_sweep_command(folder: Path) -> argparse.Namespace:
    """The arguments of the sweep in a folder, with the content of its file.

    Raises:
        ValueError: the folder is not one, or its file is damaged or from a newer version.
    """
    content = read_values(_file(folder, "command.json", "a result folder of a sweep"), _SWEEP)
    return argparse.Namespace(**content, resume=str(folder))


def _load(folder: Path, form: dict[str, Any], kind: str) -> dict[str, Any]:
    """The arguments that a command kept in its folder."""
    content = read_values(_file(folder, "command.json", kind), form)
    content["env_kwargs"] = [(name, value) for name, value in content["env_kwargs"]]
    return content


def _file(folder: Path, name: str, kind: str) -> Path:
    path = folder / name
    if not path.exists():
        raise ValueError(f"{str(folder)!r} is not {kind}: it holds no {name}")
    return path
