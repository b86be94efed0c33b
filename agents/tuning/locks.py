"""Locks that end with their process, however that ends."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from autoloss_gym.tools.files import NO_LOCKS, open_lock

if os.name == "posix":
    import fcntl


class FileLock:
    """A lock on a file, which is made where there is none, and stays.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Wait until nobody else has it; True.

        Raises:
            ValueError: the file system knows no locks.
        """
        return self._lock(waits=True)

    def try_to_acquire(self) -> bool:
        """Take it if nobody else has it; whether that was so.

        Raises:
            ValueError: the file system knows no locks.
        """
        return self._lock(waits=False)

    def release(self) -> None:
        """Give it back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def _lock(self, waits: bool) -> bool:
        descriptor = _open(self.path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(descriptor)
            return False
        except BaseException as error:
            os.close(descriptor)
            if isinstance(error, OSError) and error.errno in NO_LOCKS:
                raise _no_locks(self.path) from None
            raise
        self._descriptor = descriptor
        return True


def _open(path: Path) -> int:
    if os.name != "posix":
        raise _no_locks(path)
    return open_lock(path)


def _no_locks(path: Path) -> ValueError:
    # Without them a trial of a killed process could not be told from one that is being played.
    return ValueError(
        f"{str(path.parent)!r} is where files cannot be locked, which a study needs: put it on a "
        "local file system of Linux or macOS"
    )
