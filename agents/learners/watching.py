"""Watching a training from outside: called whenever its weights are saved."""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

_WATCHER: ContextVar[Callable[[int], None] | None] = ContextVar("watcher", default=None)


@contextlib.contextmanager
def watched_by(watcher: Callable[[int], None]) -> Iterator[None]:
    """Within the block, each time that a training has saved its weights, a function is called.

    Args:
        watcher: gets the environment steps behind the weights. What it raises ends the training.
    """
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def tell_watcher(steps: int) -> None:
    """Say that weights with so many environment steps behind them are saved."""
    watcher = _WATCHER.get()
    if watcher:
        watcher(steps)
