"""What is compared on an own loop: weighting rules, or anything else under a name."""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any

import torch

from autoloss_gym import random
from autoloss_gym.tools.names import shown
from autoloss_gym.weightings import Fixed, WeightingRule

from ...policies.grammar import parse_specification
from ...policies.kinds import RuleKind, Specification
from ...policies.own_class import own_rule
from ...policies.weighting import weighting_policy
from .source import described

_EXPECTED = "expected a weighting rule, such as softadapt, gradnorm:alpha=1 or fixed:1,10"


@dataclass(frozen=True)
class Named:
    """One of the things that are compared.

    Args:
        label: its name in the table.
        rule: what `train` gets a copy of.
    """

    label: str
    rule: Any

    @property
    def static(self) -> bool:
        """Whether it reads no loss, and may be the reference; None stands for no rule at all."""
        return self.rule is None or not getattr(self.rule, "reads_losses", True)

    @property
    def key(self) -> str:
        """Its class and arguments, and the code of a class that is the user's own."""
        return described(self.rule)

    def fresh(self, seed: int) -> Any:
        """A copy for one run, which has learned nothing, and draws by the seed."""
        rule = copy.deepcopy(self.rule)
        if isinstance(rule, WeightingRule):
            keys = torch.tensor([seed], dtype=torch.int64, device="cpu")
            rule.reset(keys=random.fold_in(keys, "rule"))
        return rule


def named_rules(rules: Iterable[Any]) -> list[Named]:
    """All that are compared, each with a name of its own.

    Args:
        rules: texts, weighting rules, or dicts {name: text, rule or any other object}.

    Raises:
        ValueError: there is none, one is of another kind, or two have the same name.
    """
    if isinstance(rules, str | WeightingRule) or not isinstance(rules, Iterable):
        raise ValueError(f"rules={shown(rules)}: expected a list, such as ['equal', 'softadapt']")
    named: list[Named] = []
    for rule in [rules] if isinstance(rules, Mapping) else rules:
        named += _from_dict(rule) if isinstance(rule, Mapping) else [_with_own_name(rule)]
    if not named:
        raise ValueError(f"rules={shown(rules)}: expected at least one, such as 'equal'")

    labels = [each.label for each in named]
    for label in labels:
        if labels.count(label) > 1:
            raise ValueError(
                f"rules: two are named {label!r}; give names of your own, {{'name': rule}}"
            )
    return named


def _from_dict(rules: Mapping[Any, Any]) -> list[Named]:
    for name in rules:
        if not (isinstance(name, str) and name.strip() and name.isprintable()):
            raise ValueError(f"rules: the name {shown(name)} is no text in one line")
    return [Named(name, _read(rule)) for name, rule in rules.items()]


def _with_own_name(rule: Any) -> Named:
    if isinstance(rule, str):
        return Named(rule, _read(rule))
    if isinstance(rule, WeightingRule):
        return Named(_label(rule), rule)
    _refuse_class(rule)
    raise ValueError(
        f"rules: {shown(rule)} has no name; {_EXPECTED}, or anything under a name, {{'name': …}}"
    )


def _read(rule: Any) -> Any:
    """The rule that a text stands for; anything else as it is."""
    _refuse_class(rule)
    return _parsed(parse_specification(rule)) if isinstance(rule, str) else rule


def _refuse_class(rule: Any) -> None:
    if isinstance(rule, type) and issubclass(rule, WeightingRule):
        name = rule.__name__
        raise ValueError(f"rules: got the class {name}, expected an object, {name}()")


def _parsed(specification: Specification) -> WeightingRule:
    """The rule that was written; ValueError for a policy that is none."""
    text, value = specification.text, specification.value
    if isinstance(specification.kind, RuleKind):
        if "pair" in value:
            raise ValueError(f"rule {text!r}: it draws pairs, which a loop of your own has not")
        return weighting_policy(specification).rule
    if specification.kind.name == "fixed":
        # A single number is the weight of the second of two losses, as on the command line.
        return Fixed(value if len(value) > 1 else (1.0, *value))
    if specification.own_module:
        return own_rule(specification)
    raise ValueError(
        f"rule {text!r}: it is a policy of environments; {_EXPECTED}, or an object under a name, "
        f"{{{text!r}: …}}"
    )


def _label(rule: WeightingRule) -> str:
    """The class, and the arguments that are not the defaults."""
    parts: list[str] = []
    for each in fields(rule):
        value = getattr(rule, each.name)
        is_shown = each.init and each.repr and repr(value) != repr(_default(each))
        if is_shown:
            # The main argument needs no name.
            name = f"{each.name}=" if each.kw_only or parts else ""
            parts.append(f"{name}{_short(value)}")
    name = type(rule).__name__
    return f"{name}({', '.join(parts)})" if parts else name


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _short(value: Any) -> str:
    """`repr`, with 1 for 1.0."""
    if isinstance(value, tuple):
        return f"({', '.join(map(_short, value))})"
    return f"{value:g}" if isinstance(value, float) else repr(value)
