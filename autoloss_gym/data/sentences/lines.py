"""Text files line by line; what is wrong with one is said with its line."""

import difflib
import unicodedata
from pathlib import Path

from autoloss_gym.data.files import (
    DAMAGE,
    check_regular,
    check_unpacked_size,
    opened,
)

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def check_text_file(path: Path, expected: str = "a text file") -> None:
    """ValueError, with the nearest name in its folder, unless there is such a file.

    Args:
        path: what is to be read.
        expected: the kind of file to give instead.
    """
    if path.parent.is_dir() and not path.exists():
        names = [each.name for each in path.parent.iterdir()]
        near = difflib.get_close_matches(path.name, names, n=1)
        question = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{str(path)!r}: there is no such file{question}")
    check_regular(path, expected)


def read_lines(path: Path) -> list[str]:
    """The lines of a text file in UTF-8, plain or packed with gzip, in Unicode's form NFC.

    Only line feeds, perhaps after a carriage return, end lines: other separators of Unicode occur
    within sentences.

    Raises:
        ValueError: one line that names the file, and the line that is no text in UTF-8.
    """
    check_text_file(path)
    try:
        check_unpacked_size(path)
        with opened(path) as file:
            content = file.read()
    except DAMAGE as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{str(path)!r} cannot be read: {reason}") from None
    text = _decoded(path, content.removeprefix(_BYTE_ORDER_MARK))
    lines = unicodedata.normalize("NFC", text).split("\n")
    if not lines[-1]:
        del lines[-1]
    return [line.removesuffix("\r") for line in lines]


def at_line(path: Path, number: int, message: str) -> ValueError:
    """An error about a line of a file."""
    return ValueError(f"{str(path)!r}, line {number}: {message}")


def _decoded(path: Path, content: bytes) -> str:
    """The text, or ValueError with the first line that is none."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise at_line(
            path, number, f"byte 0x{byte:02x} is not UTF-8; save the file in UTF-8"
        ) from None
    if "\0" in text:
        number = text.count("\n", 0, text.index("\0")) + 1
        raise at_line(path, number, "this is no text, or not in UTF-8; save the file in UTF-8")
    return text
