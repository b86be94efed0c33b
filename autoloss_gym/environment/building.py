"""Tasks and devices from the names that a registry or a command line gives."""

import dataclasses
import importlib
import inspect
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from autoloss_gym.controls import ActionControl, HoldSchedule, ScaleStep
from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.task import Task
from autoloss_gym.optimizers import as_optimizer
from autoloss_gym.signals.description import RunDescription
from autoloss_gym.signals.features import Features
from autoloss_gym.tools.arguments import build, unexpected
from autoloss_gym.tools.bounds import PositiveInt
from autoloss_gym.tools.fields import converted
from autoloss_gym.tools.names import shown, unknown

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")


def build_task(
    task: Task | str, preset: str | None, arguments: Mapping[str, Any], others: Iterable[str] = ()
) -> Task:
    """`task` itself, or what it names, made with these arguments.

    Args:
        task: a task; or "module:name" of a class, of a function that makes a task, or of a task.
        preset: one of the class's named sets of arguments.
        arguments: arguments that replace those of the preset. A `learning_rate` replaces that of
            the task's optimizer.
        others: names of the environment's own arguments, for the error about a name that neither
            has.

    Raises:
        ValueError: one line that names what is unknown or bad.
    """
    if not isinstance(task, str | Task):
        raise ValueError(
            f"task={shown(task)}: expected an autoloss_gym.Task object, or 'module:Class'"
        )
    if isinstance(task, Task):
        _refuse_arguments(task, preset, arguments, others)
        return task
    found = named_task(task)
    chosen = dict(arguments)
    learning_rate = chosen.pop("learning_rate", None)
    if _has_optimizer(found) and "optimizer" in chosen:
        chosen["optimizer"] = as_optimizer(chosen["optimizer"], learning_rate)
    if isinstance(found, type):
        built = _made_by_class(found, preset, chosen, others)
    else:
        if preset is not None:
            raise ValueError(unknown("preset", preset, ()))
        built = _made(task, found, chosen, others)
    _check_worst_scores(built)
    return built if learning_rate is None else _with_learning_rate(built, learning_rate)


def _made_by_class(
    cls: type[Task], preset: str | None, arguments: Mapping[str, Any], others: Iterable[str]
) -> Task:
    if preset is not None and not (isinstance(preset, str) and preset in cls.presets):
        raise ValueError(unknown("preset", preset, cls.presets))
    chosen = {} if preset is None else dict(cls.presets[preset])
    chosen |= arguments
    known = [field.name for field in dataclasses.fields(cls) if field.init]
    _refuse_unknown(cls.__name__, chosen, known, others)
    return build(cls, chosen)


def _made(name: str, found: Any, arguments: Mapping[str, Any], others: Iterable[str]) -> Task:
    """A task that a module has, or that a function of it makes, with some fields replaced."""
    own: dict[str, Any] = {}
    parameters: list[str] = []
    if not isinstance(found, Task):
        signature = inspect.signature(found).parameters
        parameters = [each.name for each in signature.values() if each.kind != each.VAR_KEYWORD]
        takes_all = len(parameters) < len(signature)
        own = {key: value for key, value in arguments.items() if takes_all or key in parameters}
        found = found(**own)
    if not isinstance(found, Task):
        raise ValueError(
            f"task={name!r}: the function returned {shown(found)}; expected an autoloss_gym.Task"
        )
    fields = [field.name for field in dataclasses.fields(found) if field.init]
    rest = {key: value for key, value in arguments.items() if key not in own}
    _refuse_unknown(name, rest, [*parameters, *fields], others)
    return dataclasses.replace(found, **rest)


def _refuse_unknown(
    owner: str, given: Iterable[str], known: Sequence[str], others: Iterable[str]
) -> None:
    for name in given:
        if name not in known:
            kind = f"argument of the environment or of {owner}"
            raise unexpected(kind, name, sorted({*known, *others}))


def build_features(
    description: RunDescription,
    task: Task,
    control: ActionControl | HoldSchedule,
    scaling: str,
    drop: str | Sequence[str],
    add: str | Sequence[str],
) -> Features:
    """What is observed of the runs of a task; ValueError, one line, where they lack a group."""
    lists = []
    for name, groups in (("drop", drop), ("add", add)):
        alone = (groups,) if isinstance(groups, str) else groups
        lists.append(converted(name, alone, tuple[str, ...]))
    if isinstance(control, ScaleStep) and control.relative and "step_size" not in lists[1]:
        lists[1] = (*lists[1], "step_size")  # without it, actions would mean nobody knows what
    features = Features(description, scaling, *lists)
    if "shift" in features.groups and not isinstance(control, HoldSchedule):
        raise ValueError(
            f"add=['shift']: {type(control).__name__} holds no shift; expected control='schedule': "
            "choose it, or leave 'shift' out"
        )
    if features.gradients and type(task).gradients is Task.gradients:
        raise ValueError(
            f"add={list(features.add)}: {type(task).__name__} gives no gradients; leave "
            "'gradient_noise' and 'gradient_cosines' out, or write its method gradients(state)"
        )
    return features


def repetitions(repeat: Any, task: Task, control: ActionControl | HoldSchedule) -> tuple[int, int]:
    """Updates of a step with one control, and how many of them a player makes at once.

    Raises:
        ValueError: they do not fit the task's validations.
    """
    number: int = converted("repeat", repeat, PositiveInt)
    every = task.validate_every
    if (every % number and number % every) or number > task.max_steps:
        raise ValueError(
            f"repeat={number}: expected a divisor or a multiple of validate_every={every}, at most "
            f"max_steps={task.max_steps}"
        )
    return number, number if isinstance(control, HoldSchedule) else min(number, every)


def available_device(name: str) -> torch.device:
    """The device of that name; "auto" is cuda where there is one."""
    if not isinstance(name, str) or not _DEVICE.fullmatch(name):
        raise ValueError(
            f"device={shown(name)}: expected 'cuda', 'cuda:1', …, 'auto', or device='cpu'"
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, dtype=torch.float32, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device={name!r} cannot be used ({reason}); try device='cpu'") from None
    return torch.device(name)


def _refuse_arguments(
    task: Task, preset: str | None, arguments: Mapping[str, Any], others: Iterable[str]
) -> None:
    names = [*(["preset"] if preset is not None else []), *arguments]
    if names:
        kind = "argument beside a task object, which has its own"
        raise unexpected(kind, names[0], others)


def named_task(task: str) -> Any:
    """A class of tasks, a function that makes one, or a task, which "module:name" names."""
    expected = "expected 'module:Class', or the name of a task or of a function that makes one"
    module, _, name = task.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), name)):
        raise ValueError(f"task={shown(task)}: {expected}")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise ValueError(
            f"task={task!r}: {expected}, but module {module!r} cannot be imported ({error})"
        ) from None
    if isinstance(found, Task) or (isinstance(found, type) and issubclass(found, Task)):
        return found
    if isinstance(found, type) or not callable(found):
        raise ValueError(f"task={task!r}: {expected}; {name!r} is not one, but {shown(found)}")
    return found


def _has_optimizer(found: Any) -> bool:
    """Whether an argument `optimizer` is that of a `GradientTask`."""
    is_class = isinstance(found, type) and issubclass(found, GradientTask)
    return is_class or isinstance(found, GradientTask)


def _check_worst_scores(task: Task) -> None:
    for metric in task.score_metrics:
        if not math.isfinite(metric.worst):
            raise ValueError(
                f"{type(task).__name__}: score metric {metric.name!r} has worst={metric.worst}; "
                "declare a finite one"
            )


def _with_learning_rate(task: Task, learning_rate: Any) -> Task:
    if "learning_rate" in {field.name for field in dataclasses.fields(task)}:
        return dataclasses.replace(task, learning_rate=learning_rate)  # type: ignore[call-arg]
    if not isinstance(task, GradientTask):
        raise ValueError(f"learning_rate={learning_rate}: {type(task).__name__} has no optimizer")
    optimizer = dataclasses.replace(task.optimizer, learning_rate=learning_rate)
    return dataclasses.replace(task, optimizer=optimizer)
