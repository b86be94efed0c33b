"""Saved states of rules: what is in one, and whether it fits the rule that is to continue it."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from autoloss_gym.tools.names import shown
from autoloss_gym.weightings.boundary.flattening import PLAIN, filled, flat, plain
from autoloss_gym.weightings.boundary.losses import Names
from autoloss_gym.weightings.runs import Fresh, Runs

VERSION = 2
ABOUT = "about"  # the one tensor that every saved state has: JSON in UTF-8
_PARTS = ("version", "rule", "arguments", "names")
_DTYPES = (torch.float32, torch.float64)  # in which rules reckon


def pack(rule: Any, runs: Runs) -> dict[str, Tensor]:
    """A saved state: copies of the tensors, and what they are the state of.

    Raises:
        ValueError: a rule of the user's keeps something else than tensors and plain values.
    """
    tensors = {}
    values = {}
    for name, leaf in flat(runs.tensors):
        if isinstance(leaf, Tensor):
            tensors[name] = leaf.detach().clone()
        elif isinstance(leaf, PLAIN):
            values[name] = leaf
        else:
            raise ValueError(
                f"{name}={shown(leaf)} in the state of {type(rule).__name__}: expected tensors and "
                "plain values, which every checkpoint can hold"
            )
    about = {
        "version": VERSION,
        "rule": type(rule).__name__,
        "arguments": _arguments(rule),
        "names": None if runs.names is None else list(runs.names),
        "values": values,
    }
    return {ABOUT: _written(about), **tensors}


def unpack(rule: Any, state: Any, fresh: Fresh, unexpected: list[str] | None = None) -> Runs:
    """Copies of the runs in a saved state of such a rule.

    Version 1 had nested dicts; before it a state was its tensors alone, which do not tell the rule
    or its arguments.

    Args:
        rule: that will go on with it.
        state: of any version.
        fresh: gives the state with which runs begin.
        unexpected: takes the names of tensors that are no part of such a state. Default: they are
            refused.

    Raises:
        ValueError: it is no saved state, or that of another rule or of other arguments.
    """
    if not isinstance(state, Mapping):
        raise ValueError(f"state={shown(state)}: expected the result of state_dict()")
    about, leaves = _parts(rule, state)
    for part in _PARTS:
        if part not in about:
            raise ValueError(f"state without {part!r}: expected the result of state_dict()")
    name = type(rule).__name__
    if not _same(about["rule"], name):
        raise ValueError(f"state of rule {shown(about['rule'])}: expected that of {name}")
    _check_arguments(rule, about["arguments"])
    beginning = _beginning(leaves, fresh)
    _check_leaves(rule, leaves, dict(flat(beginning)), unexpected)
    names = _names(about["names"], leaves)
    home = leaves["weights"].device if "weights" in leaves else None
    copies = {
        name: leaf.detach().to(home, copy=True) if isinstance(leaf, Tensor) else leaf
        for name, leaf in leaves.items()
    }
    return Runs(filled(beginning, copies), names, _calls(leaves))


def _parts(rule: Any, state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a state says about itself, and its leaves by name."""
    if ABOUT in state:
        about = _read(state[ABOUT])
        leaves = {name: leaf for name, leaf in state.items() if name != ABOUT} | about["values"]
    elif "version" in state:
        about = dict(state)
        tensors = about.get("tensors", {})
        if not isinstance(tensors, Mapping):
            raise ValueError(f"state['tensors']={shown(tensors)}: expected a dict of tensors")
        leaves = dict(flat(tensors))
    else:
        about = _read(pack(rule, Runs())[ABOUT]) | {"version": 1}
        leaves = dict(flat(state))
    version = about["version"]
    if not _same(version, VERSION if ABOUT in state else 1):
        raise ValueError(
            f"state of version {shown(version)}: expected at most {VERSION}, which this "
            "autoloss_gym writes"
        )
    return about, leaves


def _written(about: dict[str, Any]) -> UInt8[Tensor, " bytes"]:
    text = json.dumps(about, ensure_ascii=False, sort_keys=True).encode()
    return torch.tensor(list(text), dtype=torch.uint8, device="cpu")


def _read(text: Any) -> dict[str, Any]:
    """The reverse of `_written`."""
    try:
        about = json.loads(bytes(text.tolist()))
    except (AttributeError, TypeError, ValueError):
        about = None
    if not isinstance(about, dict) or not isinstance(about.setdefault("values", {}), dict):
        raise ValueError(f"state[{ABOUT!r}]={shown(text)}: expected the bytes of state_dict()")
    return about | {"version": about.get("version")}


def _check_leaves(
    rule: Any, leaves: dict[str, Any], beginning: dict[str, Any], unexpected: list[str] | None
) -> None:
    """Compare the tensors of a state with those that the rule would begin with.

    Raises:
        ValueError: a tensor is missing, is one too many, or has another shape or dtype.
    """
    owner = f"the state of {type(rule).__name__} with the same arguments"
    for name, wanted in beginning.items():
        found = leaves.get(name)
        if not isinstance(wanted, Tensor):
            continue  # a rule of the user's may keep other things
        if not isinstance(found, Tensor):
            raise ValueError(f"state without a tensor {name!r}: expected {owner}")
        if found.shape != wanted.shape or found.dtype != wanted.dtype:
            raise ValueError(
                f"{name!r} in the state, {tuple(found.shape)} of {found.dtype}: expected "
                f"{tuple(wanted.shape)} of {wanted.dtype}, as in {owner}"
            )
    for name in leaves.keys() - beginning.keys():
        if unexpected is None:
            raise ValueError(f"state with {shown(name)}: expected {owner}")
        unexpected.append(name)


def _beginning(leaves: dict[str, Any], fresh: Fresh) -> dict[str, Any]:
    """The state with which the runs would begin whose weights or keys are among the leaves."""
    weights = leaves.get("weights")
    if isinstance(weights, Tensor) and _are_weights(weights):
        whole = torch.zeros(len(weights), dtype=torch.int64, device="cpu")
        return {"keys": whole, "calls": whole} | fresh(weights)
    keys = leaves.get("keys")
    if isinstance(keys, Tensor) and keys.dim() == 1:
        return {"keys": keys.to(torch.int64)}
    return {}


def _are_weights(values: Tensor) -> bool:
    return values.dim() == 2 and values.numel() > 0 and values.dtype in _DTYPES


def _calls(leaves: dict[str, Any]) -> int | None:
    """The number of calls of all runs, None where it is not the same for all."""
    calls = leaves["calls"].tolist() if "calls" in leaves else [0]
    return calls[0] if len(set(calls)) == 1 else None


def _names(names: Any, leaves: dict[str, Any]) -> Names | None:
    if names is None:
        return None
    count = leaves["weights"].shape[1] if "weights" in leaves else 0
    fits = isinstance(names, list) and all(isinstance(name, str | int) for name in names)
    if not fits or len(set(names)) != count or len(names) != count:
        raise ValueError(f"state['names']={shown(names)}: expected {count} names, or None")
    return tuple(names)


def _check_arguments(rule: Any, arguments: Any) -> None:
    if not isinstance(arguments, Mapping):
        raise ValueError(f"state['arguments']={shown(arguments)}: expected a dict")
    # An argument that the rule has got since then was its default.
    saved = dict(flat(_defaults(rule) | dict(arguments)))
    own = dict(flat(_arguments(rule)))
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
    return isinstance(saved, PLAIN) and saved == own


def _arguments(rule: Any) -> dict[str, Any]:
    """The arguments of a rule as plain values; of other objects their types alone."""
    return {each.name: plain(getattr(rule, each.name)) for each in _saved_fields(rule)}


def _saved_fields(rule: Any) -> list[dataclasses.Field[Any]]:
    """Fields that are arguments, but for what belongs to one process or one model."""
    fields = dataclasses.fields(rule)
    return [each for each in fields if each.init and each.metadata.get("saved", True)]


def _defaults(rule: Any) -> dict[str, Any]:
    defaults = {}
    for field in _saved_fields(rule):
        if field.default is not dataclasses.MISSING:
            defaults[field.name] = plain(field.default)
        elif field.default_factory is not dataclasses.MISSING:
            defaults[field.name] = plain(field.default_factory())
    return defaults
