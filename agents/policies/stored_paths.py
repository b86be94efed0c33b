"""Where trained policies are stored: run folders and files; imports nothing slow."""

import glob
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autoloss_gym.tools.names import shown

_MOST_FOLDERS = 1000  # that a policy is pooled from


@dataclass(frozen=True)
class Trained:
    """A trained policy: the run folders of one training with several seeds, or a stored model."""

    folders: tuple[Path, ...] = ()
    zip_file: Path | None = None


def trained(text: str) -> Trained:
    """Patterns of run folders divided by commas, or the .zip file of a model."""
    if text.endswith(".zip"):
        if not Path(text).is_file():
            raise ValueError(f"there is no file {shown(text)}")
        return Trained(zip_file=Path(text))

    return Trained(folders=_matches(text, Path.is_dir, "folder"))


def run_folders(text: str) -> Trained:
    """Patterns of run folders divided by commas; no file."""
    if text.endswith(".zip"):
        raise ValueError("Stable-Baselines3 stores no such model")
    return trained(text)


def files(text: str) -> tuple[Path, ...]:
    """Patterns of files divided by commas."""
    return _matches(text, Path.is_file, "file")


def _matches(text: str, fits: Callable[[Path], bool], kind: str) -> tuple[Path, ...]:
    """What the patterns stand for."""
    found: list[Path] = []
    for pattern in text.split(","):
        paths = filter(fits, map(Path, glob.iglob(pattern)))
        # A pattern may fit half of the disk: no more is looked at than can be meant.
        found += sorted(itertools.islice(paths, _MOST_FOLDERS + 1))
        if len(found) > _MOST_FOLDERS:
            raise ValueError(f"{shown(pattern)} stands for more than {_MOST_FOLDERS} {kind}s")
    if not found:
        raise ValueError(f"there is no {kind} {shown(text)}")
    return tuple(found)
