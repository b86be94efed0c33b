"""Files that are whole or absent, whenever the process is killed, and folders that are in use."""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

if os.name == "posix":
    import fcntl

LOCK = ".lock"
# How a file system says that it knows no locks.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_PID_BYTES = 20


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """The path of a temporary file beside `path`, which takes its place when the block ends.

    Its name is drawn anew each time, so that several processes may write the same file at once.
    Where the block fails, nothing is left and the old file stays.

    Raises:
        OSError: the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            # A rename that is stored before the content would leave an empty file.
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _store_names(path.parent)
    except OSError as error:
        # A full disk names no file, and a folder that is read-only one that nobody asked for.
        error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file that is either whole or absent."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a text file, in UTF-8, that is either whole or absent."""
    write_bytes(path, text.encode())


def read_bytes(path: Path, most: int) -> bytes:
    """The content of a regular file of at most so many bytes.

    A pipe would never end, nor would a device: neither is waited for.

    Raises:
        FileNotFoundError: there is nothing of that name.
        OSError: it cannot be opened.
        ValueError: it is something else than a file, or too large.
    """
    with open(path, "rb", buffering=0, opener=_open_at_once) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"{str(path)!r} is not a regular file")
        if found.st_size > most:
            raise ValueError(
                f"{str(path)!r} has {found.st_size:,} bytes, expected at most {most:,}"
            )
        return file.readall()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """The folder, kept for this process while the block runs.

    The lock ends with the process, however that ends. Where the file system has none, there is no
    protection.

    Raises:
        ValueError: another process has it.
        OSError: the folder cannot be written.
    """
    if os.name != "posix":
        yield folder
        return
    path = folder / LOCK
    descriptor = _lock(path)
    try:
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield folder
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def open_lock(path: Path) -> int:
    """Descriptor of a file to be locked, which is made where there is none; of POSIX alone."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW, 0o666)


def _lock(path: Path) -> int:
    """Descriptor of the lock file, which nobody else has locked."""
    while True:
        descriptor = open_lock(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, _PID_BYTES, 0).decode("ascii", "replace")
            os.close(descriptor)
            raise ValueError(
                f"{str(path.parent)!r} is in use by process {owner}: wait for its end, or stop it"
            ) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        if _is_at(path, descriptor):
            return descriptor
        os.close(descriptor)  # its last owner removed it before it was locked here


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether an open file still has this name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _open_at_once(path: str, flags: int) -> int:
    """Opens a file; unlike `os.open` alone, it does not wait for the other end of a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _store_names(folder: Path) -> None:
    """Wait until the names in a folder are stored."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
