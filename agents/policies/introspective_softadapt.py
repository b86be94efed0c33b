"""SoftAdapt as its paper uses it on an introspective VAE (Heydari et al., §4.2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from autoloss_gym.controllers.policies.draws import weigh
from autoloss_gym.controllers.policies.weighting import WeightingPolicy
from autoloss_gym.core.task import Control
from autoloss_gym.tasks.images.intro_vae import IntroVAE
from autoloss_gym.weightings import SoftAdapt

from .kinds import Specification
from .policy import Setting

# Of the two compared losses, the loss whose weight a pair has; the divergence keeps its weight.
_FOLLOWED = {"encoder_adversarial": 0, "decoder_adversarial": 0, "reconstruction": 1}
_COMPARED = ("encoder_adversarial", "reconstruction")


@dataclass
class IntrospectiveSoftAdapt:
    """SoftAdapt's weights of two losses in the place of an introspective VAE's α and β.

    With u the unit, the encoder's loss is KL(x) + α_k L_adv + β_k u L_AE at update k, and the
    decoder's α_k Σ_s KL(x_s) + β_k u L_AE. SoftAdapt compares L_adv and u L_AE as the latest
    mini-batch had them, at first that of the untrained networks:

    - L_adv = Σ_s [m − KL(x_s)]₊, the hinges of the encoder alone. In the paper the weights take
      the place of α and β in the encoder's loss, and the decoder's has the same α and β; its own
      divergences are not compared. Loss-weighted, α_k is 0 for both where all hinges are 0.
    - L_AE, which sums over the pixels of an image. All depends on its unit where SoftAdapt is
      loss-weighted: at u = 1 and many pixels, β_k is near 1 and α_k near 0.

    α_k + β_k = 1, or 2 with the rule's scale="count". Since α and β are within the task's parts,
    their weights are α_k / α and β_k u / β, and the parts are divided by α and β / u to compare.

    Args:
        rule: gives (α_k, β_k) from (L_adv, u L_AE).
        coefficients: what is within the part of each pair by its name, in the pairs' order.
        unit: u.
    """

    label: str
    rule: SoftAdapt
    coefficients: Mapping[str, float]
    unit: float = 1.0
    static: bool = False
    diagnostics: bool = False
    env_arguments: dict[str, Any] = field(default_factory=dict)

    def reset(self, seeds: np.ndarray) -> None:
        self._of_two = WeightingPolicy(self.label, self.rule)
        self._of_two.reset(seeds)

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> Control:
        names = list(self.coefficients)
        columns = [names.index(name) for name in _COMPARED]
        compared = {
            name: infos[name][:, columns]
            for name in ("losses", "gradient_norms", "losses_refreshed")
        }
        factors = np.array([self._factor(name) for name in _COMPARED], compared["losses"].dtype)
        compared["losses"] = compared["losses"] * factors
        weights = self._of_two.act(observations, compared).weights

        by_pair = [torch.ones_like(weights[:, 0])] * len(names)
        for place, name in enumerate(names):
            if name in _FOLLOWED:
                by_pair[place] = weights[:, _FOLLOWED[name]] * self._factor(name)
        return weigh(torch.stack(by_pair, dim=1))

    def state_dict(self) -> dict[str, Any]:
        """What the rule remembers."""
        return self._of_two.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the state was taken, after a `reset` with the same seeds."""
        self._of_two.load_state_dict(state)

    def _factor(self, name: str) -> float:
        """From the part to what SoftAdapt weighs."""
        return (self.unit if name == "reconstruction" else 1.0) / self.coefficients[name]


def build_introspective_softadapt(
    specification: Specification, setting: Setting
) -> IntrospectiveSoftAdapt:
    """The policy with the options that were written.

    Raises:
        ValueError: the task is no introspective VAE in parts, or one without an α or β to replace.
    """
    text, task = specification.text, setting.task
    if not isinstance(task, IntroVAE) or task.arms != "parts":
        raise ValueError(
            f"policy {text!r}: it weighs the parts of an introspective VAE; expected "
            "--env AutoLoss/IntroVAE-v0 --env-kwargs arms=parts"
        )
    coefficients = {pair.name: task.terms.coefficients[pair.name] for pair in task.pairs}
    if not all(coefficients.values()):
        raise ValueError(
            f"policy {text!r}: alpha={task.alpha:g}, reconstruction={task.reconstruction:g}: "
            "expected both above 0, because a part that is 0 tells nothing of its loss"
        )

    arguments = dict(specification.value)
    unit = arguments.pop("unit", 1.0)
    rule = SoftAdapt(
        loss_weighted=not arguments.pop("original", False), flat_start=True, **arguments
    )
    return IntrospectiveSoftAdapt(text, rule, coefficients, unit)
