"""Finished batches of episodes on disk, so that a killed evaluation loses at most the batch that it
was playing.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autoloss_gym.tools.files import write_bytes

from ..policies.policy import Policy


class EpisodeStore:
    """Arrays of finished batches in a folder; a file is whole or absent, and reading it runs no
    code.

    Args:
        folder: where the files are; it is made when the first is written.
        context: what besides policies and seeds determines the episodes, such as the split.
    """

    def __init__(self, folder: Path, context: str) -> None:
        self._folder, self._context = folder, context

    def load(
        self, policies: Sequence[Policy], seeds: np.ndarray
    ) -> list[dict[str, np.ndarray]] | None:
        """The arrays of each policy as they were saved, or None."""
        try:
            with np.load(
                io.BytesIO(self._path(policies, seeds).read_bytes()), allow_pickle=False
            ) as file:
                content = {name: file[name] for name in file.files}
        except (
            OSError,
            EOFError,
            ValueError,
            zipfile.BadZipFile,
        ):  # absent, or damaged: it is played again
            return None
        names = [name.partition("/") for name in content]
        return [
            {name: content[f"{k}/{name}"] for index, _, name in names if index == str(k)}
            for k in range(len(policies))
        ]

    def save(
        self, policies: Sequence[Policy], seeds: np.ndarray, arrays: Sequence[dict[str, np.ndarray]]
    ) -> None:
        """Store named arrays of each policy."""
        self._folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        content: dict[str, Any] = {
            f"{k}/{name}": value for k, each in enumerate(arrays) for name, value in each.items()
        }
        np.savez(buffer, **content)
        write_bytes(self._path(policies, seeds), buffer.getvalue())

    def _path(self, policies: Sequence[Policy], seeds: np.ndarray) -> Path:
        """Named after all that the episodes depend on; a policy's `repr` says all that it does."""
        content = [self._context, [repr(policy) for policy in policies], seeds.tolist()]
        return self._folder / f"{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]}.npz"
