"""Optimizers by name, for registries and command lines."""

from collections.abc import Mapping
from typing import Any

from autoloss_gym.optimizers.adam import Adam
from autoloss_gym.optimizers.barzilai_borwein import BarzilaiBorwein
from autoloss_gym.optimizers.learned import LearnedOptimizer
from autoloss_gym.optimizers.optimizer import Optimizer
from autoloss_gym.optimizers.sgd import SGD
from autoloss_gym.tools.arguments import build
from autoloss_gym.tools.names import shown, unknown

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adam": Adam,
    "barzilai_borwein": BarzilaiBorwein,
    "learned": LearnedOptimizer,
    "sgd": SGD,
}


def as_optimizer(value: Any, learning_rate: Any = None) -> Any:
    """The optimizer that a text or a mapping names; any other value as it is.

    Args:
        value: "learned:FILE", the name of another one, or {"name": …} with its arguments.
        learning_rate: its own, where the value says none.

    Raises:
        ValueError: there is no such optimizer, or it has no such argument.
    """
    if isinstance(value, str):
        name, colon, file = value.partition(":")
        value = {"name": name, **({"file": file} if colon else {})}
    if not isinstance(value, Mapping):
        return value
    arguments = dict(value)
    name = arguments.pop("name", None)
    if name not in OPTIMIZERS:
        raise ValueError(unknown("optimizer", name, OPTIMIZERS))
    if learning_rate is not None:
        arguments.setdefault("learning_rate", learning_rate)
    if name != "learned" and "learning_rate" not in arguments:
        raise ValueError(
            f"optimizer={shown(name)}: expected a learning rate too, as in "
            f"optimizer='{{name: {name}, learning_rate: 0.01}}'"
        )
    return build(OPTIMIZERS[name], arguments)
