"""A rule that trains whoever is losing."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autoloss_gym.controllers.policies.draws import one_hot
from autoloss_gym.core.task import Control

from .kinds import Specification
from .policy import Setting
from .requirements import check_choice


@dataclass
class Balance:
    """Updates the pair whose latest known loss is the largest, the first loss taken `ratio` times.

    It is meant for two players. In a non-saturating GAN both losses are log 2 at the equilibrium,
    if that of the discriminator is the mean of its two parts; the player with the larger one is
    losing. The minimax and hinge losses of a generator can be negative: they are below the
    discriminator's also where the generator is losing. A loss is known from its last update.
    """

    label: str
    ratio: float = 1.0
    static: bool = False
    diagnostics: bool = False
    env_arguments: dict[str, Any] = field(default_factory=dict)

    def reset(self, seeds: np.ndarray) -> None:
        """Nothing to begin: the rule has no memory."""

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> Control:
        losses = infos["losses"].astype(np.float64)
        losses[:, 0] *= self.ratio
        return one_hot(losses.argmax(axis=1), losses.shape[1])


def build_balance(specification: Specification, setting: Setting) -> Balance:
    """The rule with the ratio that was written."""
    check_choice(specification.text, setting.task)
    return Balance(specification.text, specification.value)
