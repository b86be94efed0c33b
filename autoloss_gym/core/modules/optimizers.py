"""From optimizers as PyTorch names them to those that step many runs at once."""

import functools
from collections.abc import Mapping
from typing import Any

import torch

from autoloss_gym.optimizers import SGD, Adam, Optimizer
from autoloss_gym.tools.arguments import build, mapping
from autoloss_gym.tools.names import shown, unknown

_KINDS: dict[str, type[Optimizer]] = {"adam": Adam, "sgd": SGD}
_CLASSES: dict[Any, tuple[type[Optimizer], dict[str, Any]]] = {
    torch.optim.Adam: (Adam, {}),
    torch.optim.AdamW: (Adam, {"weight_decay": 0.01}),
    torch.optim.SGD: (SGD, {}),
}
_NAMES = {"lr": "learning_rate", "eps": "epsilon"}
# Arguments that change how, but not what, PyTorch computes.
_OF_SPEED = ("foreach", "fused", "capturable", "differentiable")
_LEARNING_RATE = 1e-3


def as_optimizer(given: Any, learning_rate: float | None, arguments: Any) -> Optimizer:
    """An optimizer of many runs.

    Args:
        given: "adam" or "sgd", a class of `torch.optim`, a `functools.partial` of one, or an
            optimizer itself.
        learning_rate: of it; None for the one it has, or 1e-3.
        arguments: others by their names in PyTorch.

    Raises:
        ValueError: there is no such optimizer, or it lacks an argument.
    """
    more = dict(mapping("optimizer_arguments", arguments))
    if isinstance(given, Optimizer):
        if learning_rate is not None or more:
            raise ValueError(
                f"optimizer={shown(given)} beside learning_rate or optimizer_arguments: expected "
                "them in the optimizer itself"
            )
        return given
    if isinstance(given, torch.optim.Optimizer):
        raise ValueError(
            f"optimizer: got an object of {type(given).__name__}, which holds parameters; expected "
            f"the class, optimizer=torch.optim.{type(given).__name__}"
        )
    if isinstance(given, functools.partial):
        if given.args:
            raise ValueError(f"optimizer={shown(given)}: expected named arguments alone")
        given, more = given.func, {**given.keywords, **more}
    kind, defaults = _kind(given)
    more = {**defaults, **more}
    if learning_rate is not None:
        more["lr"] = learning_rate
    name = given if isinstance(given, str) else f"torch.optim.{given.__name__}"
    return build(kind, {"learning_rate": _LEARNING_RATE, **_translated(name, kind, more)})


def _kind(given: Any) -> tuple[type[Optimizer], Mapping[str, Any]]:
    if isinstance(given, str):
        if given not in _KINDS:
            raise ValueError(unknown("optimizer", given, _KINDS))
        return _KINDS[given], {}
    try:
        return _CLASSES[given]
    except (KeyError, TypeError):
        raise ValueError(
            f"optimizer={shown(given)}: expected 'adam', 'sgd', torch.optim.Adam, torch.optim.SGD, "
            "a functools.partial of one, or an autoloss_gym optimizer"
        ) from None


def _translated(name: str, kind: type[Optimizer], given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of PyTorch's optimizer as those of ours."""
    arguments = {}
    for argument, value in given.items():
        own = _NAMES.get(argument, argument)
        if own in kind.__dataclass_fields__:
            arguments[own] = value
        elif argument == "weight_decay" and value:
            raise ValueError(
                f"optimizer={name}: weight_decay={value} is not known here; pass weight_decay=0 "
                "and write it as a loss of its own, the squares of the parameters"
            )
        elif value and argument not in _OF_SPEED:
            raise ValueError(
                f"optimizer={name}: {argument}={shown(value)} is not known to {kind.__name__} "
                f"here; leave it out (it has {', '.join(kind.__dataclass_fields__)})"
            )
    return arguments
