"""What a cell is, and how one is played, in whatever process.

A cell is plain values: what is to be done, and the digest that names its result. The result is the
content of one file. Where the folder of the results is seen, the process that plays writes it there
itself, so that nothing is lost with the process that asked.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import autoloss_gym
from autoloss_gym.core.task import Task
from autoloss_gym.tools.files import write_bytes

from ..environments import EnvironmentMaker
from ..evaluation.batches import play_batch
from ..evaluation.store import content_of, file_of
from .recipes import Recipe, make


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Something to be played, in plain values; by itself nothing, which shows what a crew costs.

    Args:
        name: in words, for errors.
        digest: of all that determines the result; it names the file of the result.
        files: digests of the contents that are needed beside these values.
        memory: bytes that it may need, for those who divide a machine.
        version: of this package, which must be that of whoever plays.
    """

    name: str
    digest: str
    files: list[str] = field(default_factory=list)
    memory: int = 0
    version: str = autoloss_gym.__version__

    @property
    def file_name(self) -> str:
        """Of the result, in the folder of results."""
        return file_of(self.digest)

    def play(self, place: "Place", contents: dict[str, bytes]) -> bytes:
        """The content of the file of its result.

        Args:
            place: where it belongs.
            contents: of the files that it names, by their digests.

        Raises:
            ValueError: it cannot be played.
        """
        return b""


@dataclass(frozen=True, kw_only=True)
class EvaluationCell(Cell):
    """Some policies on some problems, each of them on each.

    Args:
        env: id of the environment.
        env_kwargs: its arguments.
        data: digest of the task's data set, which must be the same wherever it is played.
        deterministic: whether trained policies take their most probable action.
        policies: their recipes.
        seeds: numbers of the problems.
    """

    env: str
    env_kwargs: dict[str, Any]
    data: str
    deterministic: bool
    policies: list[Recipe]
    seeds: list[int]

    def play(self, place: "Place", contents: dict[str, bytes]) -> bytes:
        maker = EnvironmentMaker(self.env, self.env_kwargs)
        check_same_data(self.env, maker(num_envs=1).task, self.data)
        policies = [make(each, maker, self.deterministic, contents) for each in self.policies]
        arrays = play_batch(policies, np.array(self.seeds, dtype=np.int64), maker)
        return content_of(self.digest, arrays)


def check_same_data(env: str, task: Task, expected: str) -> None:
    """ValueError if the data set here is another one than where the work began."""
    if task.data_digest != expected:
        raise ValueError(
            f"the data set of {env} has the digest {task.data_digest} here and {expected} where "
            "the work began: give all machines the same files"
        )


@dataclass(frozen=True)
class Place:
    """A folder of results, and the name of a file in it by which another machine knows it again."""

    folder: str
    token: str

    @property
    def is_seen(self) -> bool:
        return (Path(self.folder) / self.token).is_file()


@contextmanager
def place_of(folder: Path) -> Iterator[Place]:
    """The folder for as long as the block runs; it is made."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".seen-{secrets.token_hex(8)}"
    path.touch()
    try:
        yield Place(str(folder.resolve()), path.name)
    finally:
        path.unlink(missing_ok=True)


def to_plain(cell: Cell) -> dict[str, Any]:
    """A cell as it travels."""
    return {"kind": type(cell).__name__, **asdict(cell)}


def play_cell(plain: dict[str, Any], place: Place, *contents: bytes) -> bytes | None:
    """Play a cell.

    Args:
        plain: the cell, see `to_plain`.
        place: where its result belongs.
        contents: of the files that it names, in their order.

    Returns:
        The content of its file; None if it has been written to its place.

    Raises:
        ValueError: another version is installed here, or the cell cannot be played.
    """
    if plain["version"] != autoloss_gym.__version__:
        raise ValueError(
            f"autoloss_gym {autoloss_gym.__version__} is installed here and {plain['version']} "
            "where the work began: install the same on all machines"
        )
    cell = _from_plain(plain)
    content = cell.play(place, dict(zip(cell.files, contents, strict=True)))
    if not place.is_seen:
        return content
    write_bytes(Path(place.folder) / cell.file_name, content)
    return None


def _from_plain(plain: dict[str, Any]) -> Any:
    from .trainings import TrainingCell

    kinds = {cls.__name__: cls for cls in (Cell, EvaluationCell, TrainingCell)}
    fields = {name: value for name, value in plain.items() if name != "kind"}
    return kinds[plain["kind"]](**fields)
