"""Progress of long work on stderr: one bar on a terminal, a few plain lines elsewhere."""

import contextlib
import importlib.util
import sys
import time
from collections.abc import Iterator
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

_SECONDS_BETWEEN_UPDATES = 0.1  # a step of a batch takes less time than drawing the bar
_IS_SILENT = ContextVar("is_silent", default=False)


class Progress(Protocol):
    """Shows how far long work has come; used as a context manager around the work."""

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Say that `done` of `total` steps of a stage have been made.

        Args:
            stage: what is being done, such as "playing the test problems".
            done: steps made; where it falls, the stage has begun another round.
            total: steps of the stage.
            note: the latest figures, in a few words.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def show_progress(unit: str, lines: int) -> Progress:
    """A bar where stderr is a terminal and rich is installed, else plain lines.

    Args:
        unit: what is counted, such as "steps".
        lines: plain lines for each stage: 1 announces the stage when it begins, 10 are printed
            whenever another tenth of it is done.
    """
    if _IS_SILENT.get():
        return Silence()
    if sys.stderr.isatty() and importlib.util.find_spec("rich"):
        return Bar(unit)
    return Lines(unit, lines)


@contextlib.contextmanager
def silently() -> Iterator[None]:
    """Within the block no progress is shown: it is that of a part, and the whole shows its own."""
    token = _IS_SILENT.set(True)
    try:
        yield
    finally:
        _IS_SILENT.reset(token)


class Silence:
    """Nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        pass


class Lines:
    """Plain lines: one when a stage begins, or several at equal parts of it."""

    def __init__(self, unit: str, lines: int, stream: TextIO | None = None) -> None:
        self._unit = unit
        self._lines = lines
        self._stream = stream
        self._stage = ""
        self._printed = 0
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        if stage != self._stage:
            self._begin(stage, done, total)
        if self._lines == 1:
            return
        reached = self._lines * min(done, total) // total
        if reached <= self._printed:
            return
        self._printed = reached
        percent = min(100, 100 * done / total)  # learners finish the rollout that reaches the end
        elapsed = time.monotonic() - self._started
        self._print(f"{percent:4.0f} %  {done:>9,} {self._unit}  {elapsed:5.0f} s  {note}")

    def _begin(self, stage: str, done: int, total: int) -> None:
        self._stage = stage
        self._started = time.monotonic()
        self._printed = self._lines * done // total  # more than 0 where a training goes on
        if self._lines == 1:
            self._print(f"{stage}: {total:,} {self._unit}")

    def _print(self, line: str) -> None:
        print(line.rstrip(), file=self._stream or sys.stderr, flush=True)


class Bar:
    """A bar with the stage, what is done of it, the time that is left and the latest figures."""

    def __init__(self, unit: str, console: Any = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console or Console(stderr=True),
            refresh_per_second=4,
        )
        self._task: Any = None
        self._stage = ""
        self._done = 0
        self._updated = 0.0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._bar.live.transient = kind is not None  # the line that says why takes its place
        self._bar.stop()

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if stage != self._stage or done < self._done:
            self._begin(stage, done, total)
        elif done < total and now - self._updated < _SECONDS_BETWEEN_UPDATES:
            return
        self._done = done
        self._updated = now
        self._bar.update(self._task, completed=min(done, total), note=note)

    def _begin(self, stage: str, done: int, total: int) -> None:
        """A stage of its own, or another round of the present one, whose time is measured anew."""
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._stage = stage
        self._task = self._bar.add_task(stage, total=total, completed=done, note="")
