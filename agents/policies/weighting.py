"""Loss-weighting rules from their specifications."""

import importlib
from operator import attrgetter

from autoloss_gym.controllers.policies.gradient_weighting import GradientWeightingPolicy
from autoloss_gym.controllers.policies.weighting import WeightingPolicy
from autoloss_gym.optimizers import Adam
from autoloss_gym.weightings import WeightingRule

from .kinds import RuleKind, Specification
from .policy import Setting
from .requirements import check_figures, check_weights

RulePolicy = WeightingPolicy | GradientWeightingPolicy


def build_rule(specification: Specification, setting: Setting) -> RulePolicy:
    """The rule of a row of the table, for a task on which weights make a difference."""
    policy = weighting_policy(specification)
    if isinstance(policy, GradientWeightingPolicy):
        check_figures(specification.text, policy.rule.gradient_figures, setting.task)
    elif not policy.sample:
        check_weights(specification.text, setting.task)
    return policy


def weighting_policy(specification: Specification) -> RulePolicy:
    """The rule of a row of the table, for any task."""
    assert isinstance(specification.kind, RuleKind)
    arguments = dict(specification.value)
    sample = arguments.pop("pair", False)
    if "least_squares" in arguments:
        arguments["slope"] = "least_squares"
        arguments["window"] = arguments.pop("least_squares")
    if "learning_rate" in arguments:
        arguments["optimizer"] = Adam(learning_rate=arguments.pop("learning_rate"))

    module, _, name = specification.kind.rule.partition(":")
    make_rule = attrgetter(name)(importlib.import_module(f"autoloss_gym.weightings.{module}"))
    return rule_policy(specification.text, make_rule(**arguments), sample)


def rule_policy(label: str, rule: WeightingRule, sample: bool = False) -> RulePolicy:
    """A policy of a rule; it is static if the rule looks at nothing but the number of losses."""
    if rule.gradient_figures != "norms":
        return GradientWeightingPolicy(label, rule)
    return WeightingPolicy(label, rule, sample, static=not rule.reads_losses)
