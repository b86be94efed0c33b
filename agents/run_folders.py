"""Folders that keep what a command was told and what it made; imports nothing slow."""

import argparse
import contextlib
import itertools
import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autoloss_gym.tools.files import write_text
from autoloss_gym.tools.names import unknown

from .configuration import ALGORITHMS, TrainingConfiguration

FORMAT = 1
# Arguments that an evaluation does not keep: whom to trust is asked each time.
_NOT_KEPT = ("resume", "trust_checkpoint")


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
def removed_if_nothing_is_learned(folder: Path) -> Iterator[None]:
    """Removes a new run folder where the block fails before the first checkpoint.

    An interrupted training leaves its folder, from which it can go on.
    """
    try:
        yield
    except Exception:
        if not any(folder.glob("checkpoint.*")):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def save_configuration(folder: Path, configuration: TrainingConfiguration) -> None:
    """Keep the configuration of a training in its run folder."""
    content = {"format": FORMAT, **asdict(configuration)}
    write_text(folder / "config.json", json.dumps(content, indent=2))


def load_configuration(folder: Path) -> TrainingConfiguration:
    """The configuration of a run folder; ValueError if it is not one, or from a newer version."""
    with _reading(folder / "config.json", "a run folder of a training") as content:
        if content["algo"] not in ALGORITHMS:
            raise ValueError(unknown("algorithm", content["algo"], ALGORITHMS))
        return TrainingConfiguration(**content)


def save_command(folder: Path, arguments: argparse.Namespace) -> None:
    """Keep the arguments of an evaluation, from which `--resume` goes on."""
    content: dict[str, Any] = {"format": FORMAT}
    for name, value in vars(arguments).items():
        if name not in _NOT_KEPT:
            content[name] = value
    write_text(folder / "command.json", json.dumps(content, indent=1))


def load_command(folder: Path, known: Iterable[str]) -> argparse.Namespace:
    """The arguments `known` of the evaluation in a folder.

    Raises:
        ValueError: the folder is not that of an evaluation, or from a newer version.
    """
    with _reading(folder / "command.json", "a result folder of an evaluation") as content:
        missing = [name for name in known if name not in content]
        if missing:
            raise ValueError(f"it has no {missing[0]!r}")
        content["env_kwargs"] = [(name, value) for name, value in content["env_kwargs"]]
        return argparse.Namespace(**content, resume=str(folder))


@contextlib.contextmanager
def _reading(path: Path, kind: str) -> Iterator[dict[str, Any]]:
    """The content of a JSON file of this project.

    Whatever is wrong with it, or with its use in the block, is turned into one line.
    """
    if not path.is_file():
        raise ValueError(f"{str(path.parent)!r} is not {kind}: it holds no {path.name}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.pop("format")
        if version > FORMAT:
            raise ValueError(f"format {version} is newer than this version reads ({FORMAT})")
        yield content
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from None
