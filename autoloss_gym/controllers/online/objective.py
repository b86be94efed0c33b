"""Proximal policy optimization: advantages, and the objective that is clipped.

Schulman et al.: "High-dimensional continuous control using generalized advantage estimation", ICLR
2016, and "Proximal policy optimization algorithms", 2017. Every run has rows of its own.
"""

import torch
from jaxtyping import Float
from torch import Tensor

# Rewards are of order 1. What differs by much less is noise of the critic, and is not blown up.
_LEAST_DEVIATION = 0.1


def advantages(
    rewards: Float[Tensor, "num_envs decisions"],
    values: Float[Tensor, "num_envs decisions"],
    next_value: Float[Tensor, " num_envs"],
    gamma: float,
    trace: float,
) -> Float[Tensor, "num_envs decisions"]:
    """How much better each decision turned out than the critic expected.

    Args:
        rewards: paid after each decision.
        values: what the critic expected before each.
        next_value: what it expects after the last one; no run has ended there.
        gamma: discount.
        trace: λ, 0 for one step ahead, 1 for all that were made.
    """
    found = torch.zeros_like(rewards)
    following, later = next_value, torch.zeros_like(next_value)
    for index in reversed(range(rewards.shape[1])):
        surprise = rewards[:, index] + gamma * following - values[:, index]
        later = surprise + gamma * trace * later
        following = values[:, index]
        found[:, index] = later
    return found


def standardised(
    advantages: Float[Tensor, "num_envs decisions"],
) -> Float[Tensor, "num_envs decisions"]:
    """Mean 0 for each run, and deviation 1 where it was at least 0.1."""
    centred = advantages - advantages.mean(dim=1, keepdim=True)
    deviation = torch.sqrt((centred * centred).mean(dim=1, keepdim=True))
    return centred / deviation.clamp(min=_LEAST_DEVIATION)


def clipped_loss(
    logs: Float[Tensor, "num_envs decisions"],
    logs_before: Float[Tensor, "num_envs decisions"],
    advantages: Float[Tensor, "num_envs decisions"],
    clip: float,
) -> Float[Tensor, " num_envs"]:
    """The clipped surrogate objective, negated.

    Args:
        logs: of the probabilities of what was chosen, now.
        logs_before: the same when it was chosen.
        advantages: of what was chosen.
        clip: of the ratio of the probabilities around 1.
    """
    ratio = torch.exp(logs - logs_before)
    bounded = ratio.clamp(1 - clip, 1 + clip)
    return -torch.minimum(ratio * advantages, bounded * advantages).mean(dim=1)


def entropy(logs: Float[Tensor, "num_envs decisions actions"]) -> Float[Tensor, " num_envs"]:
    """Of the choices, from the logarithms of all their probabilities; the mean over decisions."""
    return -(torch.exp(logs) * logs).sum(dim=2).mean(dim=1)
