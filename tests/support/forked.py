"""Runs many small cases, each in a fork of a process that has imported everything, and counts how
they end.
"""

import argparse
import contextlib
import json
import os
import resource
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

SECONDS = 60  # of computing, after which a case hangs; compiling a step takes a dozen
WAITING = 120  # seconds by the clock, which other processes may have used up
_MEMORY = 4 << 30  # bytes that a case may have beyond those of its parent
FAILURES = ("traceback", "hang", "killed", "code run", "nonsense")


@dataclass
class Report:
    """How the cases ended: the outcome of each."""

    name: str
    ends: list[str] = field(default_factory=list)

    def print(self, seconds: float) -> int:
        """Print the counts; the number of failures."""
        counts = Counter(self.ends)
        figures = {name: counts.pop(name, 0) for name in ("worked", "refused", *FAILURES)}
        counted = ", ".join(f"{name} {count}" for name, count in {**figures, **counts}.items())
        print(f"{self.name}: tried {len(self.ends)}, {counted} ({seconds:.0f} s)")
        return sum(figures[name] for name in FAILURES)


def forked(case: Callable[[], tuple[str, str]]) -> tuple[str, str]:
    """Outcome of a case and what it said, from a fork with an alarm and limited memory."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.alarm(WAITING)
        _limit_memory()
        try:
            with os.fdopen(writer, "w") as pipe:
                pipe.write(json.dumps(_outcome(case)))
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        content = pipe.read()
    _, status = os.waitpid(child, 0)
    if content:
        outcome, said = json.loads(content)
        return outcome, said
    killer = signal.Signals(os.WTERMSIG(status)) if os.WIFSIGNALED(status) else status
    hangs = killer in (signal.SIGPROF, signal.SIGALRM)
    return ("hang" if hangs else "killed"), str(killer)


def run(name: str, cases: Iterator[tuple[str, Callable[[], tuple[str, str]]]]) -> int:
    """Play the cases that the command line asks for; exit status 1 if any fails.

    Args:
        name: of what is tried.
        cases: (what it is, the function that tries it), drawn one after the other.
    """
    arguments = parsed()
    report = Report(name)
    began = time.monotonic()
    for _ in range(arguments.skip):
        next(cases)
    for _ in range(arguments.cases):
        text, case = next(cases)
        outcome, said = forked(case)
        report.ends.append(outcome)
        if outcome in (*FAILURES, *arguments.show):
            print(f"{outcome}: {text[:600]}\n    {said[-600:]}", flush=True)
    return int(report.print(time.monotonic() - began) > 0)


def parsed() -> argparse.Namespace:
    """`--cases`, `--seed`, `--skip` and `--show` of the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--skip", type=int, default=0, help="cases that are not played")
    parser.add_argument("--show", nargs="*", default=[], help="outcomes whose cases are printed")
    return parser.parse_args()


def _outcome(case: Callable[[], tuple[str, str]]) -> tuple[str, str]:
    try:
        return case()
    except BaseException:
        return "traceback", traceback.format_exc()


def is_one_line(message: str) -> bool:
    """Whether an error says one thing that can be read."""
    return bool(message.strip()) and "\n" not in message.strip() and len(message) < 2100


def _limit_memory() -> None:
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    size = pages * resource.getpagesize() + _MEMORY
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
