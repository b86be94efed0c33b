"""Files that are whole or absent, whenever the process is killed."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


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
        _flush_to_disk(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file that is either whole or absent."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a text file, in UTF-8, that is either whole or absent."""
    write_bytes(path, text.encode())


def _flush_to_disk(path: Path) -> None:
    """Wait until the content is stored: a rename stored before it would leave an empty file."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
