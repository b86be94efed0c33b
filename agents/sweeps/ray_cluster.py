"""A crew of the machines of a Ray cluster: Ray Core alone, tasks and objects."""

import contextlib
import io
import os
import signal
import socket
import sys
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from autoloss_gym.tools.names import one_line

from .cells import Cell, Place, play_cell, to_plain
from .crews import Lost

_MOST_AT_ONCE = 4  # cells for each processor, so that none waits for the next one
_LEAST_AT_ONCE = 64  # a cluster may grow
_LONGEST = 300
_SILENT_SECONDS = 30.0  # after which a command says why nothing happens
_MOST_SECONDS = 10.0  # until the head of a cluster answers


class RayCrew:
    """Plays each cell as a task of one processor.

    Args:
        ray: the module.
        num_gpus: GPUs of a cell; a fraction shares one.
    """

    def __init__(self, ray: Any, num_gpus: float) -> None:
        self._ray = ray
        # Ray itself would retry for ever what takes too much memory.
        self._task = ray.remote(max_retries=0, num_cpus=1, num_gpus=num_gpus)(_play)
        self._put: dict[str, Any] = {}
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        # A task that no machine has room for would wait without a word.
        most = max((node.get("GPU", 0) for node in nodes), default=0)
        if most < num_gpus:
            raise ValueError(
                f"--gpus-per-cell {num_gpus:g}: expected at most {most:g}, which is what a machine "
                "of the cluster has"
            )
        fitting = [node for node in nodes if node.get("CPU", 0) >= 1] or nodes
        fitting = [node for node in fitting if node.get("GPU", 0) >= num_gpus]
        self._most_memory = int(max((node.get("memory", 0) for node in fitting), default=0))
        self._has_said = False

    @property
    def most_at_once(self) -> int:
        processors = self._ray.cluster_resources().get("CPU", 1)
        return max(_LEAST_AT_ONCE, int(_MOST_AT_ONCE * processors))

    def begin(self, cell: Cell, place: Place, contents: Mapping[str, bytes]) -> Any:
        for digest in cell.files:
            if digest not in self._put:
                self._put[digest] = self._ray.put(contents[digest])
        files = [self._put[digest] for digest in cell.files]
        memory = min(cell.memory, self._most_memory)
        task = self._task.options(memory=memory, name=cell.name)
        return task.remote(to_plain(cell), (place.folder, place.token), *files)

    def finished(self, handles: Collection[Any]) -> Collection[Any]:
        ready: list[Any] = []
        while not ready:
            ready, _ = self._ray.wait(list(handles), num_returns=1, timeout=_SILENT_SECONDS)
            if not ready and not self._has_said and not self._ray.cluster_resources().get("CPU"):
                print("the cluster has no processor: cells wait for a machine", file=sys.stderr)
                self._has_said = True
        more, _ = self._ray.wait(list(handles), num_returns=len(handles), timeout=0)
        return set(ready) | set(more)

    def result(self, handle: Any) -> bytes | None:
        try:
            return self._ray.get(handle)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self._ray.exceptions.RayError as error:
            raise Lost(one_line(str(error), _LONGEST)) from None


def _play(plain: dict[str, Any], place: tuple[str, str], *contents: bytes) -> bytes | None:
    """What a worker of the cluster does."""
    import torch

    torch.set_num_threads(1)
    return play_cell(plain, Place(*place), *contents)


@contextlib.contextmanager
def ray_crew(address: str, num_gpus: float) -> Iterator[RayCrew]:
    """A crew on a running cluster; within the block, nothing is printed to standard output.

    Args:
        address: of its head, or "auto" for the one that this machine belongs to.
        num_gpus: GPUs of a cell.

    Raises:
        ValueError: Ray is not installed, or there is no such cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent unasked
    try:
        import ray
    except ImportError:
        raise ValueError("--cluster needs Ray: pip install 'autoloss_gym[cluster]'") from None
    _check_reachable(address)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        raise _no_cluster(address, error) from None
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)  # Ray has taken them
    try:
        # Where a machine is lost, Ray prints its last log among the output of the command.
        with contextlib.redirect_stdout(io.StringIO()):
            yield RayCrew(ray, num_gpus)
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """ValueError where nobody listens, for which Ray itself would wait for minutes."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not (colon and port.isdecimal()):
        return
    try:
        socket.create_connection((host, int(port)), _MOST_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, error) from None


def _no_cluster(address: str, error: Exception) -> ValueError:
    reason = one_line(str(error), _LONGEST)
    return ValueError(
        f"--cluster {address}: no Ray cluster can be joined ({reason}); start one with "
        "`ray start --head`, or leave out --cluster"
    )
