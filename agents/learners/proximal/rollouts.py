"""Rollouts of a policy, whose tensors stay where the environment has them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor

from autoloss_gym.environment.vector_env import AutoLossVectorEnv

from .distributions import Distribution
from .options import TensorPPOOptions

Watch = Callable[[Tensor, Tensor, dict[str, Any]], None]  # of rewards, ended and infos of a step


@dataclass(frozen=True)
class Rollout:
    """Steps of a rollout; tensors (steps · num_envs, …), in the order of the steps."""

    observations: Tensor
    actions: Tensor
    log_probabilities: Tensor
    values: Tensor
    advantages: Tensor

    @property
    def returns(self) -> Tensor:
        """Estimates of the discounted sums of rewards, which the values should be."""
        return self.advantages + self.values

    def minibatches(self, order: Tensor, size: int) -> Iterator[tuple[Tensor, ...]]:
        """Its fields and its returns, of `size` steps after the other in this order."""
        columns = (
            self.observations,
            self.actions,
            self.log_probabilities,
            self.values,
            self.advantages,
            self.returns,
        )
        shuffled = [column.index_select(0, order).split(size) for column in columns]
        return zip(*shuffled, strict=True)


class Collector:
    """Plays rollouts. No number is read from the device on the way.

    Args:
        envs: with `array="torch"`, reset, under `autoreset_mode="SameStep"`.
        policy: its weights on the same device.
        distribution: of its actions.
        generator: of that device, from which actions are drawn.
        observations: of the runs as they are.
    """

    def __init__(
        self,
        envs: AutoLossVectorEnv,
        policy: ActorCriticPolicy,
        distribution: Distribution,
        generator: torch.Generator | None,
        observations: Tensor,
    ) -> None:
        self._envs = envs
        self._policy = policy
        self._distribution = distribution
        self._generator = generator
        self.observations = observations

    @torch.no_grad()
    def collect(self, options: TensorPPOOptions, watch: Watch) -> Rollout:
        """Play `n_steps` steps of all runs, and call `watch` after each.

        An episode's last step counts as its end, also at the end of the budget: the environment
        never truncates.
        """
        policy, distribution = self._policy, self._distribution
        steps = []
        for _ in range(options.n_steps):
            observations = self.observations
            outputs = policy.action_net(policy.mlp_extractor.forward_actor(observations))
            actions = distribution.sample(outputs, self._generator)
            chosen = distribution.to_space(actions)
            self.observations, rewards, ended, _, infos = self._envs.step(chosen)
            watch(rewards, ended, infos)
            steps.append((observations, actions, outputs, rewards, ended))

        columns = [torch.stack(column) for column in zip(*steps, strict=True)]
        observations, actions, outputs = (column.flatten(0, 1) for column in columns[:3])
        rewards, ended = columns[3:]
        # The policy was the same all along: one pass gives what each step would have given.
        values = state_values(policy, observations).view_as(rewards)
        last_values = state_values(policy, self.observations)
        estimates = advantages(rewards, values, ended, last_values, options)
        logarithms = distribution.log_probabilities(outputs, actions)
        return Rollout(observations, actions, logarithms, values.flatten(), estimates.flatten())


def state_values(policy: ActorCriticPolicy, observations: Tensor) -> Tensor:
    """The policy's values (rows,) of observations (rows, features)."""
    return policy.value_net(policy.mlp_extractor.forward_critic(observations)).squeeze(1)


def advantages(
    rewards: Tensor, values: Tensor, ended: Tensor, last_values: Tensor, options: TensorPPOOptions
) -> Tensor:
    """Generalised advantage estimates (steps, num_envs), of arXiv:1506.02438, Eq. 16.

    Args:
        rewards: of the steps, (steps, num_envs).
        values: of the observations before them, (steps, num_envs).
        ended: whether they ended an episode, bool, (steps, num_envs).
        last_values: of the observations after the last of them, (num_envs,).
        options: `gamma` and `gae_lambda`.
    """
    following = torch.cat([values[1:], last_values[None]])
    discounts = options.gamma * ~ended
    errors = rewards + discounts * following - values
    decays = options.gae_lambda * discounts
    estimates = torch.empty_like(errors)
    sums = torch.zeros_like(last_values)
    for step in reversed(range(len(errors))):
        sums = torch.addcmul(errors[step], decays[step], sums)
        estimates[step] = sums
    return estimates
