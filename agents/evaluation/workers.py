"""Processes that play, and end with the process that started them, however that ends.

This module imports nothing slow, so that a worker knows of its parent before it imports PyTorch.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from ..interruption import how_to_go_on

KILLED = "a worker was killed, perhaps because the memory was full: try a lower --num-workers"


@contextlib.contextmanager
def worker_processes(num_workers: int) -> Iterator[Executor | None]:
    """A pool of processes with one PyTorch thread each; None for a single worker: this process.

    Where the block fails, what they are playing is broken off.

    Raises:
        ChildProcessError: one of them was killed.
    """
    if num_workers == 1:
        yield None
        return
    others = multiprocessing.active_children()
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(num_workers, context, initializer=_begin)
    # Its mask of signals is inherited by what it starts, and an interrupt breaks off no start.
    starting = threading.Thread(target=_start, args=(pool, num_workers))
    starting.start()
    try:
        starting.join()
        yield pool
    except BaseException as error:
        starting.join()
        for process in multiprocessing.active_children():
            if process not in others:
                process.kill()
        if isinstance(error, BrokenProcessPool):
            raise ChildProcessError(_reason()) from None
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _start(pool: Executor, num_workers: int) -> None:
    """Start all workers; Ctrl-C reaches them too, but is answered by their parent."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
    for _ in range(num_workers):
        pool.submit(os.getpid)


def _begin() -> None:
    """The first thing that a worker does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where its mask could not be set
    threading.Thread(target=_end_with_parent, daemon=True).start()

    import torch

    torch.set_num_threads(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _reason() -> str:
    how = how_to_go_on()
    return f"{KILLED}; {how}" if how else KILLED
