"""Saved states of rules: what is in one, and whether it fits the rule that is to continue it."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from autoloss_gym.tools import tree
from autoloss_gym.tools.names import shown
from autoloss_gym.weightings.boundary.losses import Names
from autoloss_gym.weightings.runs import Fresh, Runs

VERSION = 1
_PARTS = ("version", "rule", "arguments", "names", "tensors")
_DTYPES = (torch.float32, torch.float64)  # in which rules reckon
_PLAIN = (type(None), bool, int, float, str)


def pack(rule: Any, runs: Runs) -> dict[str, Any]:
    """A saved state: plain values, and copies of the tensors in nested dicts."""
    return {
        "version": VERSION,
        "rule": type(rule).__name__,
        "arguments": _arguments(rule),
        "names": None if runs.names is None else list(runs.names),
        "tensors": tree.clone(runs.tensors),
    }


def unpack(rule: Any, state: Any, fresh: Fresh) -> Runs:
    """Copies of the runs in a saved state of such a rule.

    Before version 1 a state was its tensors alone, which do not tell the rule or its arguments.

    Raises:
        ValueError: it is no saved state, or that of another rule or of other arguments.
    """
    if not isinstance(state, Mapping):
        raise ValueError(f"state={shown(state)}: expected the result of state_dict()")
    if "version" not in state:
        state = pack(rule, Runs()) | {"tensors": state}
    if not _same(state["version"], VERSION):
        raise ValueError(
            f"state of version {shown(state['version'])}: expected {VERSION}, which this "
            "autoloss_gym writes"
        )
    for part in _PARTS:
        if part not in state:
            raise ValueError(f"state without {part!r}: expected the result of state_dict()")
    name = type(rule).__name__
    if not _same(state["rule"], name):
        raise ValueError(f"state of rule {shown(state['rule'])}: expected that of {name}")
    _check_arguments(rule, state["arguments"])
    tensors = state["tensors"]
    if not isinstance(tensors, Mapping):
        raise ValueError(f"state['tensors']={shown(tensors)}: expected a dict of tensors")
    tensors = dict(tensors)
    _check_tensors(rule, tensors, fresh)
    names = _names(state["names"], tensors)
    home = tensors["weights"].device if "weights" in tensors else None
    copies = tree.map_tensors(lambda leaf: leaf.detach().to(home, copy=True), tensors)
    return Runs(copies, names, _calls(tensors))


def _check_tensors(rule: Any, tensors: dict[str, Any], fresh: Fresh) -> None:
    """Compare the tensors of a state with those that the rule would begin with.

    Raises:
        ValueError: a tensor is missing, is one too many, or has another shape or dtype.
    """
    owner = f"the state of {type(rule).__name__} with the same arguments"
    saved = dict(_flat(tensors))
    for name, wanted in _flat(_beginning(tensors, fresh)):
        found = saved.pop(name, None)
        if not isinstance(wanted, Tensor):
            continue  # a rule of the user's may keep other things
        if not isinstance(found, Tensor):
            raise ValueError(f"state without a tensor {name!r}: expected {owner}")
        if found.shape != wanted.shape or found.dtype != wanted.dtype:
            raise ValueError(
                f"{name!r} in the state, {tuple(found.shape)} of {found.dtype}: expected "
                f"{tuple(wanted.shape)} of {wanted.dtype}, as in {owner}"
            )
    if saved:
        raise ValueError(f"state with {shown(next(iter(saved)))}: expected {owner}")


def _beginning(tensors: dict[str, Any], fresh: Fresh) -> dict[str, Any]:
    """The state with which the runs would begin whose weights or keys are in `tensors`."""
    weights = tensors.get("weights")
    if isinstance(weights, Tensor) and _are_weights(weights):
        whole = torch.zeros(len(weights), dtype=torch.int64, device="cpu")
        return {"keys": whole, "calls": whole} | fresh(weights)
    keys = tensors.get("keys")
    if isinstance(keys, Tensor) and keys.dim() == 1:
        return {"keys": keys.to(torch.int64)}
    return {}


def _are_weights(values: Tensor) -> bool:
    return values.dim() == 2 and values.numel() > 0 and values.dtype in _DTYPES


def _calls(tensors: dict[str, Any]) -> int | None:
    """The number of calls of all runs, None where it is not the same for all."""
    calls = tensors["calls"].tolist() if "calls" in tensors else [0]
    return calls[0] if len(set(calls)) == 1 else None


def _names(names: Any, tensors: dict[str, Any]) -> Names | None:
    if names is None:
        return None
    count = tensors["weights"].shape[1] if "weights" in tensors else 0
    fits = isinstance(names, list) and all(isinstance(name, str | int) for name in names)
    if not fits or len(set(names)) != count or len(names) != count:
        raise ValueError(f"state['names']={shown(names)}: expected {count} names, or None")
    return tuple(names)


def _check_arguments(rule: Any, arguments: Any) -> None:
    if not isinstance(arguments, Mapping):
        raise ValueError(f"state['arguments']={shown(arguments)}: expected a dict")
    # An argument that the rule has got since then was its default.
    saved = dict(_flat(_defaults(rule) | dict(arguments)))
    own = dict(_flat(_arguments(rule)))
    for name in own | saved:
        if name not in saved or name not in own or not _same(saved[name], own[name]):
            was = f"{name}={shown(saved[name])}" if name in saved else f"no {name}"
            now = f"{name}={shown(own[name])}" if name in own else f"no {name}"
            raise ValueError(
                f"state of {type(rule).__name__} with {was}: expected {now}, as this rule has it; "
                "to change it, set it after loading"
            )


def _same(saved: Any, own: Any) -> bool:
    """Whether a saved value, which may be anything, equals a plain one."""
    if isinstance(saved, list) and isinstance(own, list):
        return len(saved) == len(own) and all(map(_same, saved, own))
    return isinstance(saved, _PLAIN) and saved == own


def _arguments(rule: Any) -> dict[str, Any]:
    """The arguments of a rule as plain values; of other objects their types alone."""
    fields = dataclasses.fields(rule)
    return {each.name: _plain(getattr(rule, each.name)) for each in fields if each.init}


def _defaults(rule: Any) -> dict[str, Any]:
    defaults = {}
    for field in dataclasses.fields(rule):
        if field.init and field.default is not dataclasses.MISSING:
            defaults[field.name] = _plain(field.default)
        elif field.init and field.default_factory is not dataclasses.MISSING:
            defaults[field.name] = _plain(field.default_factory())
    return defaults


def _plain(value: Any) -> Any:
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    kind = {"type": type(value).__name__}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return kind | {
            each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)
        }
    return kind


def _flat(parts: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested dicts, lists and dataclasses, with names such as optimizer.steps."""
    if dataclasses.is_dataclass(parts) and not isinstance(parts, type):
        parts = {each.name: getattr(parts, each.name) for each in dataclasses.fields(parts)}
    if isinstance(parts, Mapping):
        for key, part in parts.items():
            yield from _flat(part, f"{name}.{key}" if name else str(key))
    elif isinstance(parts, list | tuple) and not all(isinstance(each, _PLAIN) for each in parts):
        for index, part in enumerate(parts):
            yield from _flat(part, f"{name}[{index}]")
    else:
        yield name, parts
