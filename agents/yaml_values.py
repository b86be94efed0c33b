"""Plain values from YAML: numbers, truth values, text, lists and mappings, and nothing else.

The syntax is YAML's, the meanings are those of YAML 1.2's core schema: 1e-3 is a number, and yes,
1:30 and 2020-01-01 are text. There are no tags, which could name types, and no aliases, with which
a few bytes become gigabytes.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from autoloss_gym.tools.names import shown

_DEEPEST = 16  # lists and mappings within each other
_LONGEST = 100_000  # characters: PyYAML reads about so many in a second
_INTEGER = re.compile(r"[-+]?[0-9]+(_[0-9]+)*")
_FLOAT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_MOST_DIGITS = 400  # every float has fewer; reading a million digits takes minutes
_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", "+.inf"), float("inf")),
    "-.inf": float("-inf"),
    ".nan": float("nan"),
}


_KEPT = (yaml.NodeEvent, yaml.CollectionEndEvent)  # the others mark documents and the stream


def read_file(path: Path) -> Any:
    """The value that a text file holds.

    Raises:
        ValueError: one line about what is wrong with it.
    """
    with path.open(encoding="utf-8") as file:
        return read(file.read(_LONGEST + 1))


def read(text: str) -> Any:
    """The value that a text stands for; an empty text is None.

    Raises:
        ValueError: one line about what is wrong with it.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"it is longer than {_LONGEST:,} characters")
    try:
        events = yaml.parse(text, Loader=yaml.SafeLoader)
        kept = (each for each in events if isinstance(each, _KEPT))
        value = _node(next(kept, None), kept, _DEEPEST)
        if next(kept, None) is not None:
            raise ValueError("it holds several documents")
    except yaml.YAMLError as error:
        reason = getattr(error, "problem", None) or " ".join(str(error).split())
        raise ValueError(f"it is not YAML: {reason}") from None
    return value


def _node(event: yaml.Event | None, events: Iterator[yaml.Event], depth: int) -> Any:
    """The value that begins with an event; all its events are taken."""
    if event is None:
        return None
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise ValueError("anchors and aliases (&, *) are not read; quote text that begins so")
    if getattr(event, "tag", None):
        raise ValueError("tags (!) are not read; quote text that begins so")
    if isinstance(event, yaml.ScalarEvent):
        is_plain, _ = event.implicit
        return _scalar(event.value) if is_plain else event.value
    if not depth:
        raise ValueError(f"its lists and mappings are more than {_DEEPEST} deep")
    if isinstance(event, yaml.SequenceStartEvent):
        return [_node(each, events, depth - 1) for each in _until_end(events)]

    values: dict[Any, Any] = {}
    for each in _until_end(events):
        name = _node(each, events, depth - 1)
        if isinstance(name, list | dict) or name in values:
            raise ValueError(f"the name {shown(name)} in a mapping is no text, or stands twice")
        values[name] = _node(next(events), events, depth - 1)
    return values


def _until_end(events: Iterator[yaml.Event]) -> Iterator[yaml.Event]:
    """The events that begin the items of a list or mapping, up to its end."""
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            return
        yield event


def _scalar(text: str) -> Any:
    """A number, a truth value, None, or the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= _MOST_DIGITS:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
    return text
