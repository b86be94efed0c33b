"""Loss-weighting rules as policies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from autoloss_gym import random
from autoloss_gym.core.task import Control
from autoloss_gym.optimizers import Adam
from autoloss_gym.weightings import (
    DynamicWeightAverage,
    Equal,
    GradNorm,
    RandomLossWeighting,
    SoftAdapt,
    UncertaintyWeighting,
    WeightingRule,
)

from .schedules import Draws, one_hot, weigh

RULES: dict[str, type[WeightingRule]] = {
    "softadapt": SoftAdapt,
    "equal": Equal,
    "dwa": DynamicWeightAverage,
    "uncertainty": UncertaintyWeighting,
    "gradnorm": GradNorm,
    "random_weights": RandomLossWeighting,
}
_LEAST = 1e-30  # of a weight: with 0 the pair would be unused, its loss never measured again, and its weight 0 for good


@dataclass
class WeightingPolicy:
    """Follows a rule that turns losses into weights.

    Args:
        rule: the rule; it is told the latest losses and gradient norms, and which of them the last
            step measured.
        sample: whether to update one pair a step, drawn with probabilities ∝ the weights, instead
            of weighing all.
    """

    label: str
    rule: WeightingRule
    sample: bool = False
    static: bool = False
    diagnostics: bool = False
    env_arguments: dict[str, Any] = field(default_factory=dict)

    def reset(self, seeds: np.ndarray) -> None:
        keys = torch.from_numpy(np.asarray(seeds, dtype=np.int64))
        self.rule.reset(keys=random.fold_in(keys, "rule"))
        self._draws = Draws(seeds, "weighting")

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> Control:
        told = (
            torch.from_numpy(infos[name])
            for name in ("losses", "losses_refreshed", "gradient_norms")
        )
        weights = self.rule.update(*told)
        if self.sample:
            return one_hot(self._draws.categorical(weights.numpy()), weights.shape[1])
        return weigh(weights.clamp(min=_LEAST))


def weighting_policy(label: str, kind: str, options: Mapping[str, Any]) -> WeightingPolicy:
    """The policy of a rule in `RULES`, with options as `agents.policies.grammar.weighting_options`
    reads them.
    """
    arguments = dict(options)
    sample = arguments.pop("pair", False)
    if "least_squares" in arguments:
        arguments |= {"slope": "least_squares", "window": arguments.pop("least_squares")}
    if "learning_rate" in arguments:
        arguments["optimizer"] = Adam(learning_rate=arguments.pop("learning_rate"))
    rule = RULES[kind](**arguments)
    return WeightingPolicy(label, rule, sample, static=not rule.reads_losses)
