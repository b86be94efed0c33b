"""Who plays cells: this process, processes beside it, or the machines of a cluster.

All play the same function, `play_cell`. What a crew adds is where, and what it does about losses: a
cell that fails is played once more, one that is lost several times, and what fails again is named
at the end, when all others are kept. A ValueError says that the cell itself is wrong, which another
try does not mend.
"""

import contextlib
import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Protocol, Self

from autoloss_gym.tools.names import one_line

from ..evaluation.workers import KILLED, worker_processes
from ..interruption import how_to_go_on
from .cells import Cell, Place, play_cell, to_plain

MOST_TRIES = 2
MOST_LOSSES = 5  # of a cell with whoever plays it: it may be what takes too much memory
_MOST_NAMED = 5  # failures in one line
_LONGEST = 300  # characters of one of them


class Crew(Protocol):
    """Who plays."""

    @property
    def most_at_once(self) -> int:
        """Cells that are worth handing over before the first of them is back."""

    def begin(self, cell: Cell, place: Place, contents: Mapping[str, bytes]) -> Any:
        """Hand over a cell; returns a handle, which can be hashed."""

    def finished(self, handles: Collection[Any]) -> Collection[Any]:
        """Those of the handles that are back, at least one; it waits for that."""

    def result(self, handle: Any) -> bytes | None:
        """What `play_cell` returned; raises what it raised, or what was lost."""


@dataclass
class Failure:
    """A cell that could not be played, and why."""

    cell: Cell
    reason: str


class Lost(ChildProcessError):
    """A cell that is gone, with the process or the machine that played it."""


class CellsFailed(ChildProcessError):
    """Some cells could not be played; the results of all others are kept."""

    def __init__(self, failures: Sequence[Failure], total: int) -> None:
        self.failures = failures
        named = [f"{each.cell.name} ({each.reason})" for each in failures[:_MOST_NAMED]]
        if len(failures) > _MOST_NAMED:
            named.append(f"and {len(failures) - _MOST_NAMED} more")
        message = f"{len(failures)} of {total} cells failed: {'; '.join(named)}"
        how = how_to_go_on()
        super().__init__(f"{message}; {how}" if how else message)


def play_cells(
    cells: Sequence[Cell],
    place: Place,
    crew: Crew,
    contents: Mapping[str, bytes],
    check: Callable[[int, bytes | None], None],
) -> Iterator[int]:
    """Play all cells, at most `crew.most_at_once` at a time.

    Args:
        cells: what is played.
        place: where the results belong.
        crew: who plays.
        contents: files that the cells name, by their digests.
        check: takes the number of a cell and what it returned; raises where that is no result.

    Yields:
        The numbers of the cells, in the order in which they are finished.

    Raises:
        CellsFailed: some failed; all others are finished.
    """
    waiting = list(range(len(cells)))[::-1]
    tries = [0.0] * len(cells)
    playing: dict[Any, int] = {}
    failures = []
    while waiting or playing:
        while waiting and len(playing) < crew.most_at_once:
            number = waiting.pop()
            playing[crew.begin(cells[number], place, contents)] = number
        for handle in crew.finished(playing):
            number = playing.pop(handle)
            try:
                check(number, crew.result(handle))
            except Exception as error:  # whatever a machine can do to a cell
                tries[number] += _weight(error)
                if tries[number] < MOST_TRIES:
                    waiting.append(number)
                else:
                    failures.append(Failure(cells[number], _reason(error)))
                continue
            yield number
    if failures:
        raise CellsFailed(failures, len(cells))


def _weight(error: Exception) -> float:
    """How much of all tries an error takes."""
    if isinstance(error, ValueError):
        return MOST_TRIES
    return MOST_TRIES / MOST_LOSSES if isinstance(error, Lost) else 1


def _reason(error: BaseException) -> str:
    return one_line(str(error) or type(error).__name__, _LONGEST)


class Here:
    """This process, one cell after the other."""

    most_at_once = 1

    def begin(self, cell: Cell, place: Place, contents: Mapping[str, bytes]) -> Any:
        future: Future[bytes | None] = Future()
        try:
            future.set_result(play_cell(to_plain(cell), place, *_needed(cell, contents)))
        except Exception as error:
            future.set_exception(error)
        return future

    def finished(self, handles: Collection[Any]) -> Collection[Any]:
        return list(handles)

    def result(self, handle: Any) -> bytes | None:
        return handle.result()


class Processes:
    """Processes of this machine, see `worker_processes`; the crew is a context.

    Where one of them is killed, new ones take their places; the cells of all of them are lost.
    """

    def __init__(self, num_workers: int) -> None:
        self._num_workers = num_workers
        self._stack = contextlib.ExitStack()
        self._pool = self._start()
        self.most_at_once = 2 * num_workers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: Any) -> None:
        self._stack.__exit__(*raised)

    def begin(self, cell: Cell, place: Place, contents: Mapping[str, bytes]) -> Any:
        job = functools.partial(play_cell, to_plain(cell), place, *_needed(cell, contents))
        try:
            return self._pool.submit(job)
        except BrokenProcessPool:
            self._stack.close()
            self._pool = self._start()
            return self._pool.submit(job)

    def finished(self, handles: Collection[Any]) -> Collection[Any]:
        return wait(handles, return_when=FIRST_COMPLETED).done

    def result(self, handle: Any) -> bytes | None:
        try:
            return handle.result()
        except BrokenProcessPool:
            raise Lost(KILLED) from None

    def _start(self) -> Executor:
        pool = self._stack.enter_context(worker_processes(self._num_workers))
        assert pool, "a single worker is this process"
        return pool


def _needed(cell: Cell, contents: Mapping[str, bytes]) -> list[bytes]:
    return [contents[digest] for digest in cell.files]


@contextlib.contextmanager
def crew_of(num_workers: int, cluster: str | None, num_gpus: float) -> Iterator[Crew]:
    """Whoever plays for a command.

    Args:
        num_workers: processes of this machine.
        cluster: address of a Ray cluster, which plays instead; None for none.
        num_gpus: GPUs of a cell on a cluster; a fraction shares one.
    """
    if cluster:
        from .ray_cluster import ray_crew

        with ray_crew(cluster, num_gpus) as crew:
            yield crew
    elif num_workers == 1:
        yield Here()
    else:
        with Processes(num_workers) as crew:
            yield crew
