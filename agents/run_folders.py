"""Folders that keep what a command was told and what it made; imports nothing slow."""

import argparse
import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autoloss_gym.tools.files import write_text
from autoloss_gym.tools.names import unknown

from .configuration import ALGORITHMS, TrainingConfiguration

FORMAT = 1


def new_run_folder(root: str, algo: str, env: str) -> Path:
    """Create and return `root`/`algo`/`env`_n with the smallest n that is free."""
    parent = Path(root) / algo
    parent.mkdir(parents=True, exist_ok=True)
    name = env.rpartition(":")[2].replace("/", "-")
    n = 1
    while True:
        folder = parent / f"{name}_{n}"
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            n += 1


def save_configuration(folder: Path, configuration: TrainingConfiguration) -> None:
    write_text(
        folder / "config.json", json.dumps({"format": FORMAT, **asdict(configuration)}, indent=2)
    )


def load_configuration(folder: Path) -> TrainingConfiguration:
    """The configuration of a run folder; ValueError if it is not one, or from a newer version."""
    with _reading(folder / "config.json", "a run folder of train_agent.py") as content:
        if content["algo"] not in ALGORITHMS:
            raise ValueError(unknown("algorithm", content["algo"], ALGORITHMS))
        return TrainingConfiguration(**content)


def save_command(folder: Path, arguments: argparse.Namespace) -> None:
    """Keep the arguments of an evaluation, from which `--resume` goes on; whom to trust is asked
    each time.
    """
    content = {
        name: value
        for name, value in vars(arguments).items()
        if name not in ("resume", "trust_checkpoint")
    }
    write_text(folder / "command.json", json.dumps({"format": FORMAT, **content}, indent=1))


def load_command(folder: Path, known: Iterable[str]) -> argparse.Namespace:
    """The arguments `known` of the evaluation in a folder; ValueError if it is none, or from a
    newer version.
    """
    with _reading(folder / "command.json", "a result folder of evaluate.py") as content:
        missing = [name for name in known if name not in content]
        if missing:
            raise ValueError(f"it has no {missing[0]!r}")
        content["env_kwargs"] = [(name, value) for name, value in content["env_kwargs"]]
        return argparse.Namespace(**content, resume=str(folder))


@contextlib.contextmanager
def _reading(path: Path, kind: str) -> Iterator[dict[str, Any]]:
    """The content of a JSON file of this project; what is wrong with it, or with its use, is one
    line.
    """
    if not path.is_file():
        raise ValueError(f"{str(path.parent)!r} is not {kind}: it holds no {path.name}")
    try:
        content = json.loads(path.read_text())
        version = content.pop("format")
        if version > FORMAT:
            raise ValueError(f"format {version} is newer than this version reads ({FORMAT})")
        yield content
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from None
