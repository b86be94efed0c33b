"""Updates of a policy by the clipped loss of PPO (arXiv:1707.06347)."""

from collections.abc import Iterable, Sequence

import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor

from ..distributions import Distribution
from .options import TensorPPOOptions
from .rollouts import Rollout, state_values

# What is logged of a minibatch, by the names that Stable-Baselines3 has for it.
FIGURES = (
    "entropy_loss",
    "policy_gradient_loss",
    "value_loss",
    "clip_fraction",
    "approx_kl",
    "loss",
)


def update(
    policy: ActorCriticPolicy,
    distribution: Distribution,
    optimizer: torch.optim.Optimizer,
    rollout: Rollout,
    orders: Iterable[Tensor],
    options: TensorPPOOptions,
) -> tuple[Tensor, int]:
    """Descend the loss on the minibatches of a rollout.

    Args:
        policy: whose weights move.
        distribution: of its actions.
        optimizer: of its weights.
        rollout: that it has played.
        orders: of the rollout's steps in each epoch, int64, (steps · num_envs,).
        options: hyper-parameters of the loss.

    Returns:
        `FIGURES`, float32, (6,), on the device: means over all minibatches, of "approx_kl" over
        those of the last epoch, of "loss" that of the last minibatch; and the number of epochs.
    """
    epochs: list[list[Tensor]] = []
    for order in orders:
        epochs.append([])
        for minibatch in rollout.minibatches(order, options.batch_size):
            loss, figures = _loss(policy, distribution, minibatch, options)
            epochs[-1].append(figures)
            if _goes_too_far(figures, options.target_kl):
                return _summary(epochs), len(epochs)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), options.max_grad_norm)
            optimizer.step()
    return _summary(epochs), len(epochs)


def _loss(
    policy: ActorCriticPolicy,
    distribution: Distribution,
    minibatch: Sequence[Tensor],
    options: TensorPPOOptions,
) -> tuple[Tensor, Tensor]:
    """The loss of a minibatch, and its `FIGURES`."""
    observations, actions, old_logarithms, old_values, advantages, returns = minibatch
    outputs = policy.action_net(policy.mlp_extractor.forward_actor(observations))
    log_ratios = distribution.log_probabilities(outputs, actions) - old_logarithms
    ratios = log_ratios.exp()
    if options.normalize_advantage and len(advantages) > 1:
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    clipped = ratios.clamp(1 - options.clip_range, 1 + options.clip_range)
    policy_loss = -torch.minimum(advantages * ratios, advantages * clipped).mean()

    values = state_values(policy, observations)
    if options.clip_range_vf is not None:
        change = (values - old_values).clamp(-options.clip_range_vf, options.clip_range_vf)
        values = old_values + change
    value_loss = torch.nn.functional.mse_loss(values, returns)

    entropy_loss = -distribution.entropies(outputs).mean()
    loss = policy_loss + options.ent_coef * entropy_loss + options.vf_coef * value_loss
    with torch.no_grad():
        clip_fraction = ((ratios - 1).abs() > options.clip_range).float().mean()
        kl_divergence = (ratios - 1 - log_ratios).mean()
        figures = (entropy_loss, policy_loss, value_loss, clip_fraction, kl_divergence, loss)
        return loss, torch.stack(figures)


def _goes_too_far(figures: Tensor, target_kl: float | None) -> bool:
    """Whether the policy has left the one that played the rollout; asks the device only then."""
    if target_kl is None:
        return False
    return figures[FIGURES.index("approx_kl")].item() > 1.5 * target_kl


def _summary(epochs: Sequence[Sequence[Tensor]]) -> Tensor:
    """The `FIGURES` of an update from those of its minibatches, epoch by epoch."""
    of_all = torch.stack([figures for epoch in epochs for figures in epoch])
    of_last_epoch = torch.stack(list(epochs[-1]))
    means = of_all[:, :-2].mean(dim=0)
    approx_kl = of_last_epoch[:, -2].mean()
    loss = of_last_epoch[-1, -1]
    return torch.cat([means, torch.stack([approx_kl, loss])])
