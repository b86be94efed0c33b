"""Arrays on disk by plain keys: a killed command loses at most the batch that it was playing."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from autoloss_gym.tools.files import write_bytes

_DAMAGE = (OSError, EOFError, ValueError, zipfile.BadZipFile)
_PREFIX = "array/"  # keeps a metric called "file" apart from the arguments of `numpy.savez`


class Store:
    """Named arrays in a folder, one file for each key.

    A file is whole or absent, and reading it runs no code. A key is any value that JSON can hold.

    Args:
        folder: where the files are; it is made when the first one is written.
        context: what all arrays depend on besides their keys, such as the split; also plain values.
    """

    def __init__(self, folder: Path, context: Any = None) -> None:
        self._folder = folder
        self._context = context

    def load(self, key: Any) -> dict[str, np.ndarray] | None:
        """The arrays that were saved under this key; None where there are none, or damaged ones."""
        try:
            content = self._path(key).read_bytes()
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                return {name.removeprefix(_PREFIX): file[name] for name in file.files}
        except _DAMAGE:
            return None

    def save(self, key: Any, arrays: Mapping[str, np.ndarray]) -> None:
        """Store named arrays under a key, in place of those that it had."""
        buffer = io.BytesIO()
        prefixed: dict[str, Any] = {_PREFIX + name: values for name, values in arrays.items()}
        np.savez(buffer, **prefixed)
        self._folder.mkdir(parents=True, exist_ok=True)
        write_bytes(self._path(key), buffer.getvalue())

    def _path(self, key: Any) -> Path:
        text = json.dumps([self._context, key], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return self._folder / f"{digest[:32]}.npz"
