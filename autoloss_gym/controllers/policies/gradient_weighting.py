"""Loss-weighting rules that read gradients as policies: they see those of the very step."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.control import Control
from autoloss_gym.core.step_gradients import StepGradients
from autoloss_gym.weightings import WeightingRule

# With 0 the pair would be unused, see `WeightingPolicy`.
_LEAST_WEIGHT = 1e-30


def norms(gradients: StepGradients) -> Float[Tensor, "num_envs pairs"]:
    """‖∂L/∂θ‖ by the blocks that all pairs share."""
    return gradients.gramian().diagonal(dim1=1, dim2=2).sqrt()


def magnitudes(gradients: StepGradients) -> Float[Tensor, "num_envs pairs"]:
    """Of the first loss the largest |∂L/∂θ| by the blocks that all pairs share, of the others the
    mean.
    """
    sizes = gradients.jacobian().abs()
    return torch.cat([sizes[:, :1].amax(dim=2), sizes[:, 1:].mean(dim=2)], dim=1)


# What a rule reads, by its `gradient_figures`.
FIGURES: dict[str, Callable[[StepGradients], Tensor]] = {
    "norms": norms,
    "magnitudes": magnitudes,
    "kernel_traces": StepGradients.kernel_traces,
}


@dataclass
class GradientWeightingPolicy:
    """Follows a rule that turns losses and gradients into weights, both of the step that it weighs.

    Figures of the gradients are computed where the rule says that they are due, from the gradients
    that the step needs anyway; only traces of neural tangent kernels take backward passes of their
    own. The weights hold for all blocks.

    Args:
        rule: told the losses, which of them the step uses, and its `gradient_figures`.
    """

    label: str
    rule: WeightingRule
    static: bool = False
    diagnostics: bool = False
    env_arguments: dict[str, Any] = field(default_factory=dict)
    needs_step_gradients: ClassVar[bool] = True

    def reset(self, seeds: np.ndarray) -> None:
        keys = torch.from_numpy(np.asarray(seeds, dtype=np.int64))
        self.rule.reset(keys=random.fold_in(keys, "rule"))

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> Control:
        ones = torch.ones(infos["losses"].shape, dtype=torch.float32, device="cpu")
        return Control(weights=ones, step_size=ones[:, 0], reweigh=self._weights)

    def _weights(self, gradients: StepGradients) -> Float[Tensor, "num_envs pairs"]:
        figures = None
        if self.rule.gradient_norms_due:
            figures = FIGURES[self.rule.gradient_figures](gradients)
        weights = self.rule.update(gradients.losses, gradients.used, figures)
        return weights.clamp(min=_LEAST_WEIGHT)
