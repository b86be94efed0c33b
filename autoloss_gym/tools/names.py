"""Wrong names answered in one line; imports nothing slow."""

import difflib
from collections.abc import Iterable


def unknown(kind: str, got: object, known: Iterable[str]) -> str:
    """One line that says what was got, the nearest known name, and all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(str(got), names, n=1)
    return (
        f"unknown {kind} {got!r}"
        + (f"; did you mean {near[0]!r}?" if near else ";")
        + f" Known: {', '.join(names)}"
    )
