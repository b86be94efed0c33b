"""Memory that is not there, which each library says in its own way."""

import contextlib
from collections.abc import Iterator

_WORDS = ("can't allocate memory", "out of memory", "Storage size calculation overflowed")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, of Python, NumPy or PyTorch, says that memory cannot be had."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)


@contextlib.contextmanager
def within_memory(what: str) -> Iterator[None]:
    """Turns a lack of memory in the block into one line about `what` does not fit.

    Raises:
        ValueError: there is not enough memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ValueError(f"{what} do not fit into memory: make fewer or smaller ones") from None
