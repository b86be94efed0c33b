"""Users' data files: regular ones only, and of a packed one no more than it may well hold."""

import contextlib
import gzip
import io
import lzma
import stat
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

# Errors that the readers of NumPy, gzip and Pillow raise for files that are damaged or of another
# kind.
DAMAGE = (
    ValueError,
    OSError,
    EOFError,
    KeyError,
    TypeError,
    AttributeError,
    SyntaxError,
    RuntimeError,
    MemoryError,
    OverflowError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
# Real tables and images unpack to 2 to 20 times their packed size, a file made to fill the memory
# to 1,000 times.
_MOST_RATIO = 25
_ALWAYS_ALLOWED = 2**23  # bytes

Stamp = tuple[tuple[str, int, int], ...]


def data_path(dataset: str) -> Path:
    """The path that a user gave, with ~ for the home folder."""
    with contextlib.suppress(RuntimeError):  # there is no such user
        return Path(dataset).expanduser()
    return Path(dataset)


def check_regular(path: Path, expected: str) -> None:
    """Raise ValueError unless `path` is a file: reading a pipe or a device might never end.

    Args:
        path: what is to be read.
        expected: the kind of file to give instead.
    """
    try:
        mode = path.stat().st_mode
    except PermissionError:
        raise ValueError(f"dataset={str(path)!r}: there is no right to read this file") from None
    except OSError:
        raise ValueError(
            f"dataset={str(path)!r}: there is no such file; give the path of {expected}"
        ) from None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise ValueError(
            f"dataset={str(path)!r}: this is {kind}, no file; give the path of {expected}"
        )


def stamp(paths: Iterable[Path]) -> Stamp:
    """Path, modification time and size of files: all three stay unless a file is rewritten."""
    found = []
    for path in paths:
        status = path.stat()
        found.append((str(path), status.st_mtime_ns, status.st_size))
    return tuple(found)


def most_bytes(path: Path) -> int:
    """The number of bytes that a file may unpack to."""
    return max(_ALWAYS_ALLOWED, _MOST_RATIO * path.stat().st_size)


def too_large(path: Path) -> ValueError:
    """The line about a file that would unpack to more than it may."""
    return ValueError(
        f"it unpacks to more than {most_bytes(path):,} bytes, over {_MOST_RATIO} times its size; "
        "if that is right, unpack it first"
    )


@contextlib.contextmanager
def opened(path: Path) -> Iterator[io.BufferedReader | gzip.GzipFile]:
    """A file's bytes, unpacked where they are packed with gzip, whatever its name says."""
    with path.open("rb") as file:
        if file.peek(2)[:2] != b"\x1f\x8b":
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield unpacked


def check_unpacked_size(path: Path) -> None:
    """Raise ValueError if a file unpacks to more than `most_bytes`; nothing of it is kept."""
    left = most_bytes(path)
    with opened(path) as file:
        if not isinstance(file, gzip.GzipFile):
            return
        while block := file.read(2**20):
            left -= len(block)
            if left < 0:
                raise too_large(path)
