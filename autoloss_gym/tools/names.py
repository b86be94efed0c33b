"""One-line answers to wrong names; imports nothing slow."""

import difflib
from collections.abc import Iterable

_LONGEST = 120  # characters of a value in an error


def shown(value: object) -> str:
    """`repr` of a value, in one line and not too long."""
    try:
        return one_line(repr(value), _LONGEST)
    except Exception:  # of a user's object, or an integer of too many digits
        return f"<a value of type {type(value).__name__}>"


def one_line(text: str, longest: int) -> str:
    """The text in one line, cut off after so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[:longest]}…"


def unknown(kind: str, got: object, known: Iterable[str]) -> str:
    """One line with the unknown name, the nearest known one if any, and all that are known."""
    names = sorted(known)
    text = got[:_LONGEST] if isinstance(got, str) else ""
    near = difflib.get_close_matches(text, names, n=1)
    question = f" did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {shown(got)};{question} Known: {', '.join(names)}"
