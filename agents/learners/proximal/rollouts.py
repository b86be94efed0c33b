"""Rollouts of a policy, whose tensors stay where the environment has them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor, nn

from autoloss_gym.environment.vector_env import AutoLossVectorEnv

from ..distributions import Actor, Distribution
from .options import TensorPPOOptions

# Of what some steps have ended with, and their number: rewards, ended, infos.
Watch = Callable[[Tensor, Tensor, dict[str, Any], int], None]


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
        self._network = nn.Sequential(policy.mlp_extractor.policy_net, policy.action_net)
        self._actor = Actor(self._network, distribution)
        self._distribution = distribution
        self._generator = generator
        self.observations = observations

    @torch.no_grad()
    def collect(self, options: TensorPPOOptions, watch: Watch) -> Rollout:
        """Play `n_steps` steps of all runs, and call `watch` after each validation.

        An episode's last step counts as its end, also at the end of the budget: the environment
        never truncates.
        """
        policy, envs = self._policy, self._envs
        observed: list[Tensor] = []
        chosen: list[Tensor] = []
        shape = (options.n_steps, envs.num_envs)
        rewards = torch.zeros(shape, dtype=torch.float32, device=envs.device)
        ended = torch.zeros(shape, dtype=torch.bool, device=envs.device)
        while len(observed) < options.n_steps:
            count = min(envs.steps_ahead, options.n_steps - len(observed))
            acted, (self.observations, paid, over, _, infos) = envs.act(
                self._actor, self.observations, [self._noise() for _ in range(count)]
            )
            observed += acted.observations
            chosen += acted.actions
            # What is paid and ends in these steps does so with the last of them.
            rewards[len(observed) - 1] = paid
            ended[len(observed) - 1] = over
            watch(paid, over, infos, count)

        observations, actions = torch.cat(observed), torch.cat(chosen)
        # The policy was the same all along: one pass gives what each step would have given.
        values = state_values(policy, observations).view_as(rewards)
        last_values = state_values(policy, self.observations)
        estimates = advantages(rewards, values, ended, last_values, options)
        outputs = self._network(observations)
        logarithms = self._distribution.log_probabilities(outputs, actions)
        return Rollout(observations, actions, logarithms, values.flatten(), estimates.flatten())

    def _noise(self) -> Tensor:
        """What the actions of a step are drawn with."""
        envs = self._envs
        return self._distribution.noise(envs.num_envs, self._generator, envs.device)


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
