"""Arrays on disk by plain keys: a killed command loses at most the batch that it was playing."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autoloss_gym.controllers.policy import Policy
from autoloss_gym.core.task import Task
from autoloss_gym.tools.files import write_bytes
from autoloss_gym.tools.forms import Array, OneOf
from autoloss_gym.tools.stored import array_bytes, read_arrays

SHARES = "shares of the pairs"  # with spaces: no figure of the environment has such a name
# What is kept of a run, beside the score metrics of its task.
_FIGURES = {
    "score": "float32",
    "best_score": "float32",
    "best_validation": "float32",
    "instance": "int64",
    "steps": "int64",
    "diverged": "bool",
    "collapsed": "bool",
}


class Store:
    """Named arrays in a folder, one file for each key.

    A file is whole or absent, and reading it runs no code. A key is any value that JSON can hold.

    Args:
        folder: where the files are; it is made when the first one is written.
        context: what all arrays depend on besides their keys, such as the split; also plain values.
    """

    def __init__(self, folder: Path, context: Any = None) -> None:
        self.folder = folder
        self._context = context

    def load(self, key: Any, form: Mapping[str, Array]) -> dict[str, np.ndarray] | None:
        """The arrays that were saved under this key.

        Args:
            key: of the arrays.
            form: of each of them.

        Returns:
            None where there are none, or whatever else is found in their place.
        """
        digest = self.digest(key)
        try:
            found = read_arrays(self.path(digest), {"key": OneOf((digest,)), "arrays": form})
        except (OSError, ValueError):
            return None
        return found["arrays"]

    def save(self, key: Any, arrays: Mapping[str, np.ndarray]) -> None:
        """Store named arrays under a key, in place of those that it had."""
        self.save_content(self.digest(key), content_of(self.digest(key), arrays))

    def save_content(self, digest: str, content: bytes) -> None:
        """Store what `content_of` has made, in place of what was stored under this digest."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_bytes(self.path(digest), content)

    def path(self, digest: str) -> Path:
        """The file of a key with this digest."""
        return self.folder / file_of(digest)

    def digest(self, key: Any) -> str:
        """What names a key, and all that its arrays depend on besides."""
        text = json.dumps([self._context, key], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def file_of(digest: str) -> str:
    """Name of the file of a key with this digest."""
    return f"{digest[:32]}.safetensors"


def content_of(digest: str, arrays: Mapping[str, np.ndarray]) -> bytes:
    """The file that keeps named arrays under a key with this digest."""
    return array_bytes({"key": digest, "arrays": arrays})


class EpisodeStore:
    """Finished batches of episodes: some policies, each on the same problems.

    Args:
        folder: where they are kept.
        context: what they depend on besides policies and problems.
        task: what the policies train.
    """

    def __init__(self, folder: Path, context: Any, task: Task) -> None:
        self.folder = folder
        self._store = Store(folder, context)
        self._task = task

    def load(self, policies: Sequence[Policy], seeds: np.ndarray) -> dict[str, np.ndarray] | None:
        """The figures of all runs, (runs,), and the shares of the pairs, (policies, steps, pairs).

        None where they have not been played, or are damaged.
        """
        num_runs = len(policies) * len(seeds)
        form = {}
        for name, dtype in figures_of(self._task).items():
            form[name] = Array(dtype, (num_runs,))
        # NaN where no run is left.
        shares = (len(policies), None, len(self._task.pairs))
        form[SHARES] = Array(
            "float64", shares, least=0, most=1, finite=False, open_length=self._task.max_steps
        )
        return self._store.load(batch_key(policies, seeds), form)

    def save(
        self, policies: Sequence[Policy], seeds: np.ndarray, arrays: Mapping[str, np.ndarray]
    ) -> None:
        """Keep what `load` is to return."""
        self._store.save(batch_key(policies, seeds), arrays)

    def digest(self, policies: Sequence[Policy], seeds: np.ndarray) -> str:
        """What names the batch, and all that it depends on besides."""
        return self._store.digest(batch_key(policies, seeds))

    def save_content(self, digest: str, content: bytes) -> None:
        """Keep a file that was made elsewhere by `content_of`."""
        self._store.save_content(digest, content)


def figures_of(task: Task) -> dict[str, str]:
    """Names and dtypes of the figures that are kept of a run."""
    return _FIGURES | {metric.name: "float32" for metric in task.score_metrics}


def batch_key(policies: Sequence[Policy], seeds: np.ndarray) -> dict[str, Any]:
    """The key of a batch in a store; a policy's `repr` says all that it does."""
    return {"policies": [repr(policy) for policy in policies], "seeds": seeds.tolist()}
