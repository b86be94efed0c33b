"""From names and keyword arguments, as a registry or a command line gives them, to objects; a wrong
name is one clear line.
"""

import dataclasses
import importlib
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast, get_origin

import numpy as np
import torch
from torch import Tensor

from autoloss_gym.core.task import Task
from autoloss_gym.tools.names import unknown

Built = TypeVar("Built")


def pick(
    table: Mapping[str, type[Built]],
    value: Any,
    kind: str,
    suited: Mapping[str, Any] | None,
    arguments: Mapping[str, Any] | None,
) -> Built:
    """`value` itself if it is of a class in `table`, else that class made with `suited`, replaced
    by `arguments`.
    """
    if isinstance(value, tuple(table.values())):
        if arguments:
            raise ValueError(
                f"{kind}_arguments={dict(arguments)}: expected none where {kind} is given as an object"
            )
        return cast(Built, value)
    if not isinstance(value, str) or value not in table:
        raise ValueError(unknown(kind, value, table))
    if not isinstance(arguments or {}, Mapping):
        raise ValueError(f"{kind}_arguments={arguments!r}: expected a mapping of names to values")
    return build(table[value], {**(suited or {}), **(arguments or {})})


def build(cls: type[Built], arguments: Mapping[str, Any]) -> Built:
    """An instance of the dataclass `cls`; an argument that it does not have is a ValueError that
    names the nearest.
    """
    known = {field.name: field.type for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    for name in arguments:
        if name not in known:
            raise ValueError(unknown(f"argument of {cls.__name__}", name, known))
    return cls(**{name: _checked(name, value, known[name]) for name, value in arguments.items()})


def _checked(name: str, value: Any, expected: Any) -> Any:
    """`value` as the field's type, where that is a plain one: 1e3 is an int, 1 is a float."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if expected is Any:
        return tuple(value) if isinstance(value, list) else value
    if expected is int and number and float(value).is_integer():
        return int(value)
    if expected is float and number:
        return float(value)
    if get_origin(expected) is tuple and isinstance(value, list):
        return tuple(value)  # JSON and YAML have lists alone
    if expected == (str | None) and number:
        return str(value)  # a column may be called 2020
    if not isinstance(expected, type) or (
        expected not in (int, float) and isinstance(value, expected)
    ):
        return value
    meaning = {int: "an integer", float: "a number"}.get(
        expected, f"an object of type {expected.__name__}"
    )
    raise ValueError(f"{name}={value!r}: expected {meaning}, got type {type(value).__name__}")


def build_task(
    task: Task | str, preset: str | None, arguments: Mapping[str, Any], others: Iterable[str] = ()
) -> Task:
    """`task` itself, or the class "module:Class" made with a preset's arguments, replaced by the
    given ones.

    A `learning_rate` replaces that of the task's optimizer. `others` are the names of the
    environment's own arguments, for the error about a name that neither has.
    """
    if not isinstance(task, str | Task):
        raise ValueError(f"task={task!r}: expected an autoloss_gym.Task object, or 'module:Class'")
    if isinstance(task, Task):
        if preset is not None or arguments:
            names = ", ".join([*(["preset"] if preset is not None else []), *arguments])
            raise ValueError(
                f"unknown argument {names}: arguments of the task belong to the task object that was given"
            )
        return task
    cls = _task_class(task)
    presets: Mapping[str, dict[str, Any]] = getattr(cls, "presets", {})
    if preset is not None and not (isinstance(preset, str) and preset in presets):
        raise ValueError(unknown("preset", preset, presets))
    chosen = (presets[preset] if preset is not None else {}) | dict(arguments)
    learning_rate = chosen.pop("learning_rate", None)
    known = [field.name for field in dataclasses.fields(cls)]
    for name in chosen:
        if name not in known:
            raise ValueError(
                unknown(
                    f"argument of the environment or of {cls.__name__}", name, [*known, *others]
                )
            )
    built = build(cls, chosen)
    for metric in built.score_metrics:
        if not math.isfinite(metric.worst):
            raise ValueError(
                f"{cls.__name__}: score metric {metric.name!r} has worst={metric.worst}; declare a finite one"
            )
    if learning_rate is None:
        return built
    optimizer = getattr(built, "optimizer", None)
    if optimizer is None:
        raise ValueError(f"learning_rate={learning_rate}: {cls.__name__} has no optimizer")
    rate = _checked("learning_rate", learning_rate, float)
    changed: dict[str, Any] = {"optimizer": dataclasses.replace(optimizer, learning_rate=rate)}
    return dataclasses.replace(built, **changed)


def _task_class(task: str) -> type[Task]:
    module, _, name = task.partition(":")
    try:
        cls = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise ValueError(
            f"task={task!r}: expected 'module:Class', but module {module!r} cannot be imported ({error})"
        ) from None
    if not (isinstance(cls, type) and issubclass(cls, Task)):
        raise ValueError(
            f"task={task!r}: expected 'module:Class' with a subclass of autoloss_gym.Task"
        )
    return cls


def positive(name: str, value: Any) -> int:
    """`value` as an int of at least 1."""
    number = isinstance(value, float) or hasattr(value, "__index__")
    if isinstance(value, bool) or not number or not float(value).is_integer() or value < 1:
        raise ValueError(f"{name}={value!r}: expected a positive integer")
    return int(value)


def divisor(name: str, value: Any, whole_name: str, whole: int) -> int:
    """`value` as an int of at least 1 that divides `whole`."""
    number = positive(name, value)
    if whole % number:
        raise ValueError(f"{name}={value}: expected a divisor of {whole_name}={whole}")
    return number


def one_of(name: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    """`value` if it is allowed (enumerations compare by their value)."""
    values = [getattr(each, "value", each) for each in allowed]
    if getattr(value, "value", value) not in values:
        raise ValueError(f"{name}={value!r}: expected one of {', '.join(map(repr, values))}")
    return value


def available_device(name: str) -> torch.device:
    """The device of that name; "auto" is cuda where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not isinstance(name, str) or name.partition(":")[0] not in ("cpu", "cuda", "mps"):
        raise ValueError(f"device={name!r}: expected 'cuda', 'cuda:1', …, 'auto', or device='cpu'")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device={name!r} cannot be used ({str(error).splitlines()[0]}); try device='cpu'"
        ) from None
    return torch.device(name)


def sequence(name: str, value: Any) -> tuple[Any, ...]:
    """`value` as a tuple."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name}={value!r}: expected a list of names")
    return tuple(value)


def seed_list(seed: Any, num_envs: int) -> list[int | None]:
    """One seed for each run, None where it goes on."""
    seeds = list(seed) if isinstance(seed, list | tuple | np.ndarray) else []
    good = (
        each is None or (isinstance(each, int | np.integer) and 0 <= each < 2**62) for each in seeds
    )
    if len(seeds) != num_envs or not all(good):
        raise ValueError(
            f"seed={seed}: expected an integer from 0 to 2**62, or a list of {num_envs} such or None"
        )
    return seeds


def reset_mask(options: Mapping[str, Any] | None, num_envs: int) -> np.ndarray:
    """Which runs a reset with these options starts anew, (num_envs,), bool."""
    for name in options or {}:
        if name != "reset_mask":
            raise ValueError(unknown("reset option", name, ("reset_mask",)))
    mask = (options or {}).get("reset_mask", np.ones(num_envs, dtype=bool))
    mask = np.asarray(mask.cpu() if isinstance(mask, Tensor) else mask)
    if mask.dtype != bool or mask.shape != (num_envs,) or not mask.any():
        raise ValueError(
            f"reset_mask of shape {mask.shape}, dtype {mask.dtype}: expected ({num_envs},), bool, with at least one True"
        )
    return mask
