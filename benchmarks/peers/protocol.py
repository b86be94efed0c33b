"""Sides in processes of their own, asked for one turn at a time.

A request and its answer are a line of JSON each, on the worker's standard input and output. This
module imports nothing but Python's own, as the worker's interpreter may have nothing else of ours.
"""

import contextlib
import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]

# One thread: XLA has two pools of its own beside those that OpenMP makes.
ONE_THREAD = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
    "OMP_NUM_THREADS": "1",
    "PYTHONWARNINGS": "ignore",
}


class Turn(NamedTuple):
    """Training steps of a turn, over all of its runs, and what they took, in seconds."""

    steps: int
    processor: float
    wall: float


def timed(play: Callable[[], int]) -> Turn:
    """A turn of a side of this process."""
    wall, processor = time.perf_counter(), time.process_time()
    steps = play()
    return Turn(steps, time.process_time() - processor, time.perf_counter() - wall)


class Worker:
    """Another process that has sides.

    Args:
        command: starts it, in the folder of this checkout.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._name = " ".join(command)
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **ONE_THREAD},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, do: str, **details: Any) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            RuntimeError: the worker has ended, or it says what went wrong.
        """
        given, answers = self._process.stdin, self._process.stdout
        assert given is not None
        assert answers is not None
        line = ""
        with contextlib.suppress(BrokenPipeError):
            given.write(json.dumps({"do": do, **details}) + "\n")
            given.flush()
            line = answers.readline()
        if not line:
            raise RuntimeError(f"{self._name}: ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{self._name}: {answer['error']}")
        return answer

    def turn(self, task: str, side: str, runs: int) -> Turn:
        """One turn of a side, which is made at its first."""
        return Turn(**self.ask("turn", task=task, side=side, runs=runs))

    def close(self) -> None:
        """Let it end."""
        self._process.communicate()


Answers = Mapping[str, Callable[..., dict[str, Any]]]


def serve(make: Callable[[str, str, int], Callable[[], int]], more: Answers | None = None) -> None:
    """Answer requests until there are no more; whatever else is printed goes to standard error.

    Args:
        make: from names of task and side and a number of runs, what plays a turn and returns its
            training steps.
        more: answers to other requests than for "turn" and for the "peak" of memory.
    """
    answers = sys.stdout
    sys.stdout = sys.stderr
    made = functools.cache(make)

    def turn(task: str, side: str, runs: int) -> dict[str, Any]:
        return timed(made(task, side, runs))._asdict()

    known: Answers = {"turn": turn, "peak": _peak, **(more or {})}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = known[request.pop("do")](**request)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _peak() -> dict[str, Any]:
    """The most memory, in bytes, that this process has had since it was last asked (Linux)."""
    folder = Path("/proc/self")
    lines = (folder / "status").read_text().splitlines()
    kibibytes = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
    (folder / "clear_refs").write_text("5")  # resets it to what is used now
    return {"bytes": int(kibibytes) * 1024}
