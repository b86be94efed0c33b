"""Evaluations with workers that get a signal: what lives on, and what their folder is good for."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.kills.random_moments import (
    ENVIRONMENT,
    Program,
    next_command,
    only_folder,
    run_to_the_end,
    uninterrupted,
)

EVALUATION = Program(
    "evaluate.py",
    f"{ENVIRONMENT} --episodes 200 --policies grid:8 1:1 softadapt --num-workers 2",
    "--output",
    ("table.txt", "results.csv"),
)
PATIENCE = 5.0  # seconds after which nothing may live
EARLIEST = 0.3  # seconds after the start
NAMES = {
    signal.SIGKILL: "9 to the parent",
    signal.SIGTERM: "15 to the parent",
    signal.SIGINT: "Ctrl-C to all",
}


@dataclass(frozen=True)
class Outcome:
    """What a signal led to.

    Args:
        hit: the evaluation was running.
        status: its exit status.
        seconds: from the signal to the end of its last process.
        left: processes that live after `PATIENCE`.
        said: what it wrote to stderr after the signal.
        same: its folder was resumed to the files of one that was left alone.
    """

    hit: bool
    status: int
    seconds: float
    left: int
    said: str
    same: bool


def reports(kills: int, folder: Path) -> Iterator[str]:
    """A line for each signal."""
    # A shell starts background jobs with Ctrl-C ignored, which the evaluations would inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    whole, seconds = uninterrupted(EVALUATION, folder / "whole")
    generator = np.random.default_rng(0)
    for number, name in NAMES.items():
        outcomes = []
        for index in range(kills):
            output = folder / f"{number}_{index}"
            output.mkdir()
            moment = generator.uniform(EARLIEST, seconds)
            outcomes.append(_interrupted(output, number, moment, whole))
        yield f"{name}: {_summary([each for each in outcomes if each.hit], kills)}"


def _summary(outcomes: list[Outcome], kills: int) -> str:
    statuses = sorted({each.status for each in outcomes})
    latest = max(each.seconds for each in outcomes)
    lines = sorted({len(each.said.splitlines()) for each in outcomes})
    tracebacks = sum("Traceback" in each.said for each in outcomes)
    return (
        f"{len(outcomes)} of {kills} hit, status {statuses}, "
        f"{sum(each.left > 0 for each in outcomes)} with a process left after {PATIENCE:g} s "
        f"(the slowest took {latest:.1f} s), {lines} lines and {tracebacks} tracebacks, "
        f"{sum(each.same for each in outcomes)} resumed to the same bytes"
    )


def _interrupted(output: Path, number: int, seconds: float, whole: Path) -> Outcome:
    """Start an evaluation, send the signal after some seconds, and resume what is left."""
    log = output / "stderr.txt"
    with log.open("w") as file:
        process = subprocess.Popen(
            EVALUATION.start(output),
            cwd=output,
            stdout=subprocess.DEVNULL,
            stderr=file,
            start_new_session=True,
        )
    time.sleep(seconds)
    hit = process.poll() is None
    written = log.stat().st_size
    started = time.monotonic()
    if hit and number == signal.SIGINT:
        os.killpg(process.pid, number)
    elif hit:
        os.kill(process.pid, number)
    left = _living(process)
    while left and time.monotonic() < started + PATIENCE:
        time.sleep(0.02)
        left = _living(process)
    ended = time.monotonic() - started
    if left:
        os.killpg(process.pid, signal.SIGKILL)
    status = process.wait()
    said = log.read_text()[written:]
    run_to_the_end(next_command(EVALUATION, output), output)
    resumed = only_folder(output)
    same = all(
        (resumed / name).read_bytes() == (whole / name).read_bytes() for name in EVALUATION.kept
    )
    return Outcome(hit, status, ended, len(left), said, same)


def _living(leader: subprocess.Popen) -> list[int]:
    """The processes of a session that have not ended."""
    leader.poll()  # else the leader itself stays, as a zombie
    living = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if fields[0] != "Z" and int(fields[3]) == leader.pid:
            living.append(int(path.parent.name))
    return living
