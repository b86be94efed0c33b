"""Policies and weighting rules of the user's own, named module:Class on the command line."""

import importlib
from typing import Any

from autoloss_gym.controllers.policy import Policy
from autoloss_gym.weightings import WeightingRule

from .kinds import Specification
from .policy import Setting
from .requirements import check_figures, check_weights
from .weighting import rule_policy

_ATTRIBUTES = ("label", "static", "diagnostics", "env_arguments")


def build_own_class(specification: Specification, setting: Setting) -> Policy:
    """Import the module, and make the class: a policy with the task, a rule without arguments.

    Raises:
        ValueError: the module cannot be imported or has no such class, the class is neither a
            policy nor a rule, or it cannot be made.
    """
    text = specification.text
    found = _load(specification)
    if issubclass(found, WeightingRule):
        check_weights(text, setting.task)
        check_figures(text, found.gradient_figures, setting.task)
        return rule_policy(text, _make(text, found))

    if not (callable(getattr(found, "reset", None)) and callable(getattr(found, "act", None))):
        raise ValueError(
            f"policy {text!r}: the class is neither a policy, with reset(seeds) and "
            "act(observations, infos), nor a subclass of autoloss_gym.weightings.WeightingRule"
        )
    policy = _make(text, found, setting.task)
    missing = [name for name in _ATTRIBUTES if not hasattr(policy, name)]
    if missing:
        raise ValueError(
            f"policy {text!r}: it has no {' and no '.join(missing)}; a policy has "
            f"{', '.join(_ATTRIBUTES)}"
        )
    return policy


def own_rule(specification: Specification) -> WeightingRule:
    """The same where there is no task: ValueError also for what is no rule."""
    text = specification.text
    found = _load(specification)
    if not issubclass(found, WeightingRule):
        raise ValueError(
            f"rule {text!r}: the class is no subclass of autoloss_gym.weightings.WeightingRule"
        )
    return _make(text, found)


def _load(specification: Specification) -> type:
    own = specification.value
    try:
        module = importlib.import_module(own.module)
    except Exception as error:  # importing runs the user's code, which may raise anything
        raise ValueError(
            f"policy {specification.text!r}: cannot import module {own.module!r} "
            f"({_in_one_line(error)})"
        ) from error
    if not hasattr(module, own.name):
        raise ValueError(
            f"policy {specification.text!r}: module {own.module!r} has no class {own.name!r}"
        )
    found = getattr(module, own.name)
    if not isinstance(found, type):
        raise ValueError(f"policy {specification.text!r}: {own.name} is not a class")
    return found


def _make(text: str, cls: type, *arguments: Any) -> Any:
    try:
        return cls(*arguments)
    except Exception as error:  # the user's code may raise anything
        given = ", ".join(type(each).__name__ for each in arguments)
        raise ValueError(
            f"policy {text!r}: {cls.__name__}({given}) failed ({_in_one_line(error)})"
        ) from error


def _in_one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
