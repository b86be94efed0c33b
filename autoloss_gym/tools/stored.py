"""What the commands store: plain values as JSON, and arrays with plain values as safetensors.

Every file carries the version of its format and a checksum. Reading one runs no code, and asks for
no more memory than the file has bytes.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from autoloss_gym.tools import forms
from autoloss_gym.tools.files import read_bytes, replacing, write_text
from autoloss_gym.tools.forms import Leaf

FORMAT = 2
_MOST_JSON = 1 << 20  # bytes
_MOST_BYTES = 1 << 32  # of an array file of any form
_MOST_HEADER = 1 << 20  # bytes that an array file may have beside its arrays
_DTYPES = {
    "BOOL": "bool",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
}
# Names of the file's own entries, among those of the caller.
_FORMAT = "format"
_CHECKSUM = "checksum"


def write_values(path: Path, values: Mapping[str, Any]) -> None:
    """Store plain values as JSON."""
    plain = json.loads(json.dumps(values))
    content = {_FORMAT: FORMAT, **plain, _CHECKSUM: _digest({_FORMAT: FORMAT, **plain})}
    write_text(path, json.dumps(content, indent=1))


def read_values(path: Path, form: Mapping[str, Any]) -> dict[str, Any]:
    """Read what `write_values` stored, also in format 1, which had no checksum.

    Raises:
        OSError: the file cannot be opened.
        ValueError: one line that says what is wrong with it.
    """
    content = read_bytes(path, _MOST_JSON)
    try:
        values = json.loads(content)
        if not isinstance(values, dict):
            raise ValueError("it is not a mapping of names")
        checksum = values.pop(_CHECKSUM, None)
        if checksum not in (None, _digest(values)):
            raise ValueError(
                "it was changed after it was written; restore it, or if you mean the change, "
                f"delete its line {_CHECKSUM!r}"
            )
        _check_format(values.pop(_FORMAT, None), oldest=1)
        return forms.read(values, form)
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, error) from None


def write_arrays(path: Path, tree: Mapping[str, Any]) -> None:
    """Store a tree of arrays and plain values, each leaf under its place in the tree."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.writelines(_content(tree))


def array_bytes(tree: Mapping[str, Any]) -> bytes:
    """The file that `write_arrays` makes, for a process that has no folder to write it to."""
    return b"".join(_content(tree))


def _content(tree: Mapping[str, Any]) -> list[bytes | memoryview]:
    arrays = {}
    texts = {_FORMAT: str(FORMAT)}
    for place, leaf in forms.flatten(tree).items():
        if isinstance(leaf, np.ndarray):
            arrays[place] = np.asarray(leaf, order="C")
        else:
            texts[place] = json.dumps(leaf)
    header, data = _parts(save(arrays))
    header["__metadata__"] = texts
    texts[_CHECKSUM] = _digest(header, data)
    # Not left to safetensors, which puts these texts in another order in each process.
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return [len(text).to_bytes(8, "little"), text, data]


def read_arrays(path: Path, form: Mapping[str, Any], oldest: int = FORMAT) -> dict[str, Any]:
    """Read the tree that `write_arrays` stored.

    Args:
        path: the file.
        form: of the tree; it also bounds the size of the file.
        oldest: the oldest format that may be read; format 1 had no checksum.

    Raises:
        OSError: the file cannot be opened.
        ValueError: one line that says what is wrong with it.
    """
    content = read_bytes(path, forms.num_bytes(form) + _MOST_HEADER)
    try:
        tensors = deserialize(content)
        header, data = _parts(content)
        texts = header.get("__metadata__", {})
        checksum = texts.pop(_CHECKSUM, None)
        version = int(texts.get(_FORMAT, 1))
        _check_format(version, oldest)
        if version > 1 and checksum != _digest(header, data):
            raise ValueError("it is damaged: its checksum is not that of its content")
        texts.pop(_FORMAT, None)
        found = {name: json.loads(text) for name, text in texts.items()}
        for name, tensor in tensors:
            found[name] = _array(name, tensor)
        return forms.read(found, form)
    except (ValueError, SafetensorError, RecursionError) as error:
        raise _unreadable(path, error) from None


def read_value(path: Path, place: str, form: Leaf) -> Any:
    """Read one plain value of what `write_arrays` stored, without its checksum and its arrays.

    Raises:
        OSError: the file cannot be opened.
        ValueError: one line that says what is wrong with it.
    """
    content = read_bytes(path, _MOST_BYTES)
    try:
        header, _ = _parts(content)
        return forms.read({place: json.loads(header["__metadata__"][place])}, {place: form})[place]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _unreadable(path, error) from None


def _array(name: str, tensor: dict[str, Any]) -> np.ndarray:
    if tensor["dtype"] not in _DTYPES:
        raise ValueError(f"{name} is {tensor['dtype']}, expected {' or '.join(_DTYPES)}")
    array = np.frombuffer(tensor["data"], _DTYPES[tensor["dtype"]])
    return array.reshape(tensor["shape"])


def _parts(content: bytes) -> tuple[dict[str, Any], memoryview]:
    """The header of an array file, and the bytes of its arrays."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), memoryview(content)[end:]


def _digest(header: dict[str, Any], data: bytes | memoryview = b"") -> str:
    found = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    found.update(data)
    return found.hexdigest()[:32]


def _check_format(version: Any, oldest: int) -> None:
    if type(version) is not int:
        raise ValueError(f"its format is {version!r}, expected {FORMAT}")
    if version > FORMAT:
        raise ValueError(f"format {version} is newer than this version reads ({FORMAT})")
    if version < oldest:
        raise ValueError(f"format {version} is older than this version reads ({oldest})")


def _unreadable(path: Path, error: Exception) -> ValueError:
    reason = " ".join(str(error).split())
    return ValueError(f"{str(path)!r} cannot be read: {reason}")
