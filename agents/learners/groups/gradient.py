"""The gradient of groups: what was played, its advantages, and PPO's clipped loss."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.controllers.networks.shift_network import ShiftNetwork

from .options import GroupOptions

_LEAST_DEVIATION = 1e-8


@dataclass
class GroupRuns:
    """What was observed and decided in a batch of runs, and what came of it.

    Args:
        observations: at each decision.
        actions: drawn, not clipped to the action space.
        running: runs that had not ended before the decision.
        outcomes: of the runs; small is good.
        figures: means of the final figures, by name.
    """

    observations: Float[Tensor, "decisions num_envs features"]
    actions: Float[Tensor, "decisions num_envs actions"]
    running: Bool[Tensor, "decisions num_envs"]
    outcomes: Float[Tensor, " num_envs"]
    figures: dict[str, float]


def group_advantages(
    outcomes: Float[Tensor, " num_envs"], options: GroupOptions
) -> Float[Tensor, " num_envs"]:
    """Baseline − outcome, scaled to a deviation of 1; large is good.

    Args:
        outcomes: the copies of a problem stand one after another.
        options: number of copies, kinds of baseline and scale.
    """
    groups = outcomes.double().view(-1, options.copies)
    baselines = groups.mean(dim=1, keepdim=True)
    if options.baseline == "batch":
        baselines = groups.mean()
    gains = baselines - groups
    if options.scale == "group":
        gains = gains / groups.std(dim=1, keepdim=True).clamp(min=_LEAST_DEVIATION)
    deviation = gains.std(correction=0).clamp(min=_LEAST_DEVIATION)
    return (gains / deviation).flatten().float()


def log_probabilities(
    controller: ShiftNetwork, runs: GroupRuns
) -> Float[Tensor, "decisions num_envs"]:
    """Log density of the actions, without the constant that no gradient needs."""
    logs = controller.log_deviations
    distances = (runs.actions - controller(runs.observations)) * torch.exp(-logs)
    return (-0.5 * distances * distances - logs).sum(dim=2)


def clipped_loss(
    logs: Float[Tensor, "decisions num_envs"],
    played: Float[Tensor, "decisions num_envs"],
    advantages: Float[Tensor, " num_envs"],
    running: Bool[Tensor, "decisions num_envs"],
    clip_range: float,
) -> Float[Tensor, ""]:
    """PPO's loss (Schulman et al. 2017, Eq. 7), over the decisions of runs that had not ended.

    Args:
        logs: log density of the actions now.
        played: the same when they were drawn.
        advantages: of the runs; all decisions of a run share its advantage.
        running: decisions that count.
        clip_range: of the ratio.
    """
    ratios = torch.exp(logs - played)
    clipped = ratios.clamp(1 - clip_range, 1 + clip_range)
    gains = torch.minimum(ratios * advantages, clipped * advantages)
    return -(gains * running).sum() / running.sum()
