"""One-line answers to wrong names; imports nothing slow."""

import difflib
from collections.abc import Iterable


def unknown(kind: str, got: object, known: Iterable[str]) -> str:
    """One line with the unknown name, the nearest known one if any, and all that are known."""
    names = sorted(known)
    near = difflib.get_close_matches(str(got), names, n=1)
    question = f" did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {got!r};{question} Known: {', '.join(names)}"
