"""Trainings as cells."""

import contextlib
import hashlib
import io
import json
import tempfile
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from autoloss_gym.tools.files import locked, read_bytes, write_bytes

from ..configuration import TrainingConfiguration
from ..learners.learner import make_learner
from ..run_folders import save_configuration
from .cells import Cell, Place, with_device
from .recipes import OF_TRAINING

KEPT = (*OF_TRAINING, "progress.csv")
_MOST_BYTES = 1 << 32  # of a file


@dataclass(frozen=True, kw_only=True)
class TrainingCell(Cell):
    """The training of one configuration; its result is an archive of its run folder.

    Args:
        configuration: a `TrainingConfiguration` as a dictionary.
        folder: the run folder. Where it is seen, the training is kept in it, and goes on from its
            last checkpoint.
        any_device: whether it is trained on a GPU where the process sees one, unless the
            configuration names a device.
    """

    configuration: dict[str, Any]
    folder: str
    any_device: bool = False

    @property
    def file_name(self) -> str:
        return f"{self.digest[:32]}.zip"

    def save(self, results: Path, content: bytes) -> None:
        """Keep what was made where the folder of results is not seen."""
        write_bytes(results / self.file_name, content)

    def play(self, place: Place, contents: dict[str, bytes]) -> bytes:
        with tempfile.TemporaryDirectory(prefix="autoloss_gym_") as temporary:
            folder = Path(self.folder if place.is_seen else temporary)
            configuration = TrainingConfiguration(**self.configuration)
            env_kwargs = with_device(configuration.env_kwargs, self.any_device)
            with locked(folder):
                _train(replace(configuration, env_kwargs=env_kwargs), folder)
                return _packed(folder, self.digest)


def training_cell(
    configuration: TrainingConfiguration, folder: Path, name: str, memory: int, any_device: bool
) -> TrainingCell:
    """The cell of a training, which is named by all that determines its result."""
    determining = {**asdict(configuration), "checkpoint_every": None}
    text = json.dumps(determining, sort_keys=True)
    return TrainingCell(
        name=name,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        memory=memory,
        configuration=asdict(configuration),
        folder=str(folder.resolve()),
        any_device=any_device,
    )


def is_finished(cell: TrainingCell, results: Path) -> bool:
    """Whether the result is there; what is missing in the run folder is then put there from it."""
    path = results / cell.file_name
    try:
        files = _unpacked(read_bytes(path, _MOST_BYTES), cell.digest)
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
    folder = Path(cell.folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if not (folder / name).is_file():
            write_bytes(folder / name, content)
    return True


def _train(configuration: TrainingConfiguration, folder: Path) -> None:
    """Train, or go on in a run folder, without a word: others train beside it."""
    learner = make_learner(configuration)
    if not (folder / "config.json").is_file():
        save_configuration(folder, replace(configuration, data=learner.task.data_digest))
    with contextlib.redirect_stderr(io.StringIO()):
        learner.train(folder)


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
