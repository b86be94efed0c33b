"""Finished runs in a file of JSON lines, from which a comparison goes on after a kill."""

import json
import math
import os
from pathlib import Path
from typing import Any

from autoloss_gym.tools.files import write_text

from .runs import Run

FILE = "runs.jsonl"
_FORMAT = 1


class Record:
    """The runs of a comparison: in memory, and in a folder if there is one.

    The first line of the file says which function was run; every other line is a run. A line that
    a kill has cut off is dropped, and its run is made again.

    Args:
        folder: where the file is; None keeps it nowhere.
        function: name of the user's function, for errors.
        digest: of its code.

    Raises:
        ValueError: the file holds runs of another function.
    """

    def __init__(self, folder: Path | None, function: str, digest: str) -> None:
        self._path = folder / FILE if folder else None
        self._runs: dict[tuple[str, str, int], Run] = {}
        if self._path is None:
            return
        lines = self._path.read_text(errors="replace").splitlines() if self._path.exists() else []
        header = {"format": _FORMAT, "function": function, "digest": digest}
        if lines:
            _check_header(_parsed(lines[0]), header, self._path)
        for line in lines[1:]:
            self._remember(_run(_parsed(line)))
        if len(lines) != len(self._runs) + 1:  # new, or with lines that say nothing
            kept = [header, *map(_plain, self._runs.values())]
            write_text(self._path, "".join(json.dumps(line) + "\n" for line in kept))

    def get(self, label: str, key: str, seed: int) -> Run | None:
        """The run of a rule with a seed, if it was made."""
        return self._runs.get((label, key, seed))

    def add(self, run: Run) -> None:
        """Keep a run; when this returns, it outlives a kill."""
        self._remember(run)
        if self._path is None:
            return
        with self._path.open("ab") as file:
            file.write((json.dumps(_plain(run)) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())

    def __len__(self) -> int:
        return len(self._runs)

    def _remember(self, run: Run | None) -> None:
        if run is not None:
            self._runs[run.label, run.key, run.seed] = run


def _check_header(found: Any, expected: dict[str, Any], path: Path) -> None:
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        raise ValueError(f"{str(path)!r} holds no runs that can be read: give another output")
    if found.get("digest") != expected["digest"]:
        raise ValueError(
            f"{str(path)!r} holds runs of {found.get('function')}; the code of "
            f"{expected['function']}, or a value of your modules that it reads, is another now: "
            "give another output, or delete the file"
        )


def _plain(run: Run) -> dict[str, Any]:
    """What a line holds: strict JSON, in which numbers that are not finite are text."""
    return {
        "rule": run.label,
        "seed": run.seed,
        "score": _as_json(run.score),
        "figures": {name: _as_json(value) for name, value in run.figures.items()},
        "seconds": round(run.seconds, 3),
        "key": run.key,
    }


def _as_json(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _run(line: Any) -> Run | None:
    """The run of a line; None where it is none."""
    try:
        figures = {str(name): float(value) for name, value in line["figures"].items()}
        return Run(
            label=str(line["rule"]),
            key=str(line["key"]),
            seed=int(line["seed"]),
            score=float(line["score"]),
            figures=figures,
            seconds=float(line["seconds"]),
        )
    except (TypeError, ValueError, KeyError, AttributeError):
        return None


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
