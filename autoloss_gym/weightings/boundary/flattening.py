"""Trees as flat dicts of named leaves, and values as those that JSON knows."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

PLAIN = (type(None), bool, int, float, str)


def flat(parts: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested dicts, lists and dataclasses, with names such as optimizer.steps."""
    if dataclasses.is_dataclass(parts) and not isinstance(parts, type):
        parts = fields_of(parts)
    if isinstance(parts, Mapping):
        for key, part in parts.items():
            yield from flat(part, f"{name}.{key}" if name else str(key))
    elif isinstance(parts, list | tuple) and not _is_plain(parts):
        for index, part in enumerate(parts):
            yield from flat(part, f"{name}[{index}]")
    else:
        yield name, parts


def filled(beginning: Any, leaves: Mapping[str, Any], name: str = "") -> Any:
    """A tree like `beginning` with these leaves, named as `flat` names them."""
    if isinstance(beginning, Mapping):
        return {
            key: filled(part, leaves, f"{name}.{key}" if name else str(key))
            for key, part in beginning.items()
        }
    if dataclasses.is_dataclass(beginning) and not isinstance(beginning, type):
        return type(beginning)(**filled(fields_of(beginning), leaves, name))
    if isinstance(beginning, list | tuple) and not _is_plain(beginning):
        return type(beginning)(
            filled(part, leaves, f"{name}[{index}]") for index, part in enumerate(beginning)
        )
    return leaves.get(name, beginning)


def plain(value: Any) -> Any:
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    kind = {"type": type(value).__name__}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return kind | {name: plain(part) for name, part in fields_of(value).items()}
    return kind


def fields_of(instance: Any) -> dict[str, Any]:
    return {each.name: getattr(instance, each.name) for each in dataclasses.fields(instance)}


def _is_plain(parts: list[Any] | tuple[Any, ...]) -> bool:
    return all(isinstance(each, PLAIN) for each in parts)
