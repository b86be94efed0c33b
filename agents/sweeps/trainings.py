"""Trainings as cells."""

import contextlib
import hashlib
import io
import json
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autoloss_gym.tools.files import locked, read_bytes, write_bytes

from ..configuration import TrainingConfiguration
from ..environments import EnvironmentMaker
from ..learners.learner import make_learner
from ..policies.trained.trained_policy import TrainedPolicy
from ..run_folders import save_configuration
from .cells import Cell, Place, check_same_data
from .recipes import OF_TRAINING

KEPT = (*OF_TRAINING, "progress.csv")
_MOST_BYTES = 1 << 32  # of a file
_PATIENCE = 60.0  # seconds


@dataclass(frozen=True, kw_only=True)
class TrainingCell(Cell):
    """The training of one configuration; its result is an archive of its run folder.

    Args:
        configuration: a `TrainingConfiguration` as a dictionary.
        folder: the run folder. Where it is seen, the training is kept in it, and goes on from its
            last checkpoint.
    """

    configuration: dict[str, Any]
    folder: str

    @property
    def file_name(self) -> str:
        return f"{self.digest[:32]}.zip"

    def save(self, results: Path, content: bytes) -> None:
        """Keep what was made where the folder of results is not seen."""
        write_bytes(results / self.file_name, content)

    def play(self, place: Place, contents: dict[str, bytes]) -> bytes:
        with tempfile.TemporaryDirectory(prefix="autoloss_gym_") as temporary:
            folder = Path(self.folder if place.is_seen else temporary)
            with _locked(folder):
                _train(TrainingConfiguration(**self.configuration), folder)
                return _packed(folder, self.digest)


def training_cell(
    configuration: TrainingConfiguration, folder: Path, name: str, memory: int
) -> TrainingCell:
    """The cell of a training, which is named by all that determines its result.

    Args:
        configuration: with the digest of the data.
        folder: the run folder.
        name: in words.
        memory: bytes that it may need.
    """
    determining = {**asdict(configuration), "checkpoint_every": None}
    text = json.dumps(determining, sort_keys=True)
    return TrainingCell(
        name=name,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        memory=memory,
        configuration=asdict(configuration),
        folder=str(folder.resolve()),
    )


def is_finished(cell: TrainingCell, results: Path) -> bool:
    """Whether the result is there; the run folder then has its files, whatever was there before."""
    path = results / cell.file_name
    try:
        files = _unpacked(read_bytes(path, _MOST_BYTES), cell.digest)
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
    folder = Path(cell.folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        file = folder / name
        # Weights of an earlier checkpoint are there where the rest was trained elsewhere.
        if not file.is_file() or read_bytes(file, _MOST_BYTES) != content:
            write_bytes(file, content)
    return True


def _train(configuration: TrainingConfiguration, folder: Path) -> None:
    """Train, or go on in a run folder, without a word: others train beside it.

    Raises:
        ValueError: the data are others than where the work began, or the training has diverged.
    """
    learner = make_learner(configuration)
    check_same_data(configuration.env, learner.task, configuration.data)
    if not (folder / "config.json").is_file():
        save_configuration(folder, configuration)
    with contextlib.redirect_stderr(io.StringIO()):
        learner.train(folder)
    policy = TrainedPolicy(folder, configuration.env)
    make_env = EnvironmentMaker(configuration.env, configuration.env_kwargs)
    policy.load(make_env(num_envs=1, **policy.env_arguments))  # which are then known to be finite


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The folder for this process alone.

    A cluster may give up a machine whose process still lives for a while.

    Raises:
        OSError: another process does not end.
    """
    end = time.monotonic() + _PATIENCE
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(locked(folder))
                break
            except ValueError as error:
                if time.monotonic() > end:
                    raise OSError(str(error)) from None
                time.sleep(1)
        yield


def _packed(folder: Path, digest: str) -> bytes:
    """An archive of what is kept of a run folder, with the digest of its cell."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.comment = digest.encode()
        for name in KEPT:
            if (folder / name).is_file():
                archive.writestr(name, read_bytes(folder / name, _MOST_BYTES))
    return packed.getvalue()


def _unpacked(content: bytes, digest: str) -> dict[str, bytes]:
    """The files of an archive by name; ValueError if it is damaged or that of another cell."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if archive.comment != digest.encode() or not set(archive.namelist()) <= set(KEPT):
            raise ValueError("it is the result of another cell")
        if any(each.compress_type != zipfile.ZIP_STORED for each in archive.infolist()):
            raise ValueError("its files are compressed, and may be of any size")
        return {name: archive.read(name) for name in archive.namelist()}
