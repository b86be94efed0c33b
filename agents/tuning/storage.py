"""Where the trials of a study are recorded. Reading it runs no code: Optuna's journal in a file is
lines of JSON, and its tables hold JSON, numbers and text.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from .locks import FileLock
from .sampler import SeededSampler
from .settings import FILE, Settings, storage_kind

JOURNAL = "journal.log"
_SETTINGS = "settings"  # the attribute of a study that holds them
_STARTUP_TRIALS = 5  # that are finished before one is pruned


def create_study(
    settings: Settings, folder: Path, storage: str | None, start: dict[str, Any], minimize: bool
) -> optuna.Study:
    """A new study, whose first trial has the parameters `start`.

    Args:
        settings: which are kept with it.
        folder: of the study.
        storage: file of a journal or address of a database; None for a journal in the folder.
        start: the parameters of the values to begin with.
        minimize: whether a low score is good.

    Raises:
        ValueError: the storage cannot be used.
    """
    with _usable(storage):
        study = optuna.create_study(
            storage=_open(folder, storage),
            study_name=settings.name,
            direction="minimize" if minimize else "maximize",
            sampler=SeededSampler(settings.configuration.seed),
            pruner=_pruner(settings),
        )
        study.set_user_attr(_SETTINGS, settings.plain())
        study.enqueue_trial(start)
    return study


def load_study(settings: Settings, folder: Path, storage: str | None) -> optuna.Study:
    """The study of a folder, for another worker.

    Raises:
        ValueError: the storage is not that of the folder, or its study has other settings.
    """
    if storage is None and settings.storage != "journal":
        raise ValueError(
            f"the trials of {str(folder)!r} are in a {settings.storage}, which the folder does not "
            "name: add the --storage that it began with"
        )
    if storage is not None and storage_kind(storage) != settings.storage:
        raise ValueError(
            f"the trials of {str(folder)!r} are in a {settings.storage}, not in {storage}: give "
            "the --storage that it began with, or none if it began without"
        )
    with _usable(storage):
        try:
            study = optuna.load_study(
                storage=_open(folder, storage),
                study_name=settings.name,
                sampler=SeededSampler(settings.configuration.seed),
                pruner=_pruner(settings),
            )
        except KeyError:
            raise ValueError(
                f"{storage or folder / JOURNAL} holds no study {settings.name}, which is that of "
                f"{str(folder)!r}"
            ) from None
    _check(study, settings, folder)
    return study


def _check(study: optuna.Study, settings: Settings, folder: Path) -> None:
    """ValueError unless the settings of the study are those of the folder."""
    stored = study.user_attrs.get(_SETTINGS)
    expected = json.loads(json.dumps(settings.plain()))
    if stored == expected:
        return
    found = stored if isinstance(stored, dict) else {}
    names = [name for name, value in expected.items() if found.get(name) != value]
    raise ValueError(
        f"{str(folder / FILE)!r} and the study {settings.name} differ in "
        f"{', '.join(names) or 'what they hold'}: workers of one study have the same settings"
    )


def _open(folder: Path, storage: str | None) -> BaseStorage:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if storage is not None and storage_kind(storage) == "database":
        logging.getLogger("alembic").setLevel(logging.ERROR)
        return RDBStorage(storage)
    path = (Path(storage) if storage else folder / JOURNAL).absolute()
    lock = cast(Any, _JournalLock(path))  # the class that its annotation names is private
    return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))


def _pruner(settings: Settings) -> optuna.pruners.BasePruner:
    if not settings.pruning:
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(n_startup_trials=_STARTUP_TRIALS)


class _JournalLock:
    """Whose turn it is to write; it ends with its process, unlike Optuna's own, a file that stays.

    A line that a killed process has begun is taken away, so that none is appended to it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = FileLock(path.with_name(f"{path.name}.lock"))

    def acquire(self) -> bool:
        self._lock.acquire()
        try:
            self._remove_begun_line()
        except BaseException:
            self.release()
            raise
        return True

    def release(self) -> None:
        self._lock.release()

    def _remove_begun_line(self) -> None:
        with self._path.open("rb+") as file:
            size = file.seek(0, os.SEEK_END)
            if not size:
                return
            file.seek(size - 1)
            if file.read(1) != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)


@contextmanager
def _usable(storage: str | None) -> Iterator[None]:
    """Make an error of a database, its driver or a damaged journal a ValueError in one line."""
    try:
        yield
    except (OSError, ValueError) as error:
        if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
            raise ValueError(f"{storage or JOURNAL} is damaged: {error}") from None
        raise
    except Exception as error:  # of SQLAlchemy or any driver
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{storage or JOURNAL} cannot be used: {reason}") from None


@contextmanager
def in_reach() -> Iterator[None]:
    """Make it a ValueError where a database does not answer any more."""
    try:
        yield
    except optuna.exceptions.StorageInternalError as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise ValueError(f"the storage of the study: {reason}") from None
