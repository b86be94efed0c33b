"""Distributions of actions, as formulas on tensors.

They are those of Stable-Baselines3's `MlpPolicy`. The classes of `torch.distributions` behind that
ask the device at every step: for their arguments to be valid, and to draw a category.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor, nn


class Distribution(Protocol):
    """Distributions of independent actions, one for each row of a network's outputs.

    Actions are those of the environment, which clips unbounded ones itself.
    """

    def noise(self, rows: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
        """What a sample is made with, (rows, outputs); without a generator by PyTorch's own."""

    def sample(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """An action for each of the outputs (rows, outputs)."""

    def log_probabilities(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """Logarithms of the probabilities or densities of actions, (rows,)."""

    def entropies(self, outputs: Tensor) -> Tensor:
        """Entropies in nats, (rows,)."""


def distribution_of(policy: ActorCriticPolicy) -> Distribution:
    """The distribution of a policy's actions, which shares its standard deviations.

    Raises:
        ValueError: it has no actions for which there is one.
    """
    space = policy.action_space
    if isinstance(space, spaces.Discrete):
        return Categorical((int(space.n),), is_single=True)
    if isinstance(space, spaces.MultiDiscrete):
        return Categorical(tuple(map(int, space.nvec)))
    if not isinstance(space, spaces.Box):
        raise ValueError(f"actions {space}: expected Discrete, MultiDiscrete or Box")
    return Gaussian(policy.log_std)


class Actor(nn.Module):
    """Draws actions for observations.

    Args:
        network: (rows, features) → outputs.
        distribution: of actions with these outputs.
    """

    def __init__(self, network: nn.Module, distribution: Distribution) -> None:
        super().__init__()
        self.network = network
        self.distribution = distribution

    def forward(self, observations: Tensor, noise: Tensor) -> Tensor:
        """An action for each of the observations (rows, features)."""
        return self.distribution.sample(self.network(observations), noise)


@dataclass(frozen=True)
class Categorical:
    """Independent choices, whose probabilities are the softmax of their outputs.

    Args:
        sizes: alternatives of each choice.
        is_single: whether an action is one number instead of a vector.
    """

    sizes: tuple[int, ...]
    is_single: bool = False

    def noise(self, rows: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
        """Gumbel's, which is −log of an exponential draw."""
        drawn = torch.empty(rows, sum(self.sizes), dtype=torch.float32, device=device)
        return -drawn.exponential_(generator=generator).log()

    def sample(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """Int64 (rows, choices), or (rows,): the greatest of the logits with the noise."""
        drawn = (outputs + noise).split(self.sizes, dim=1)
        actions = torch.stack([each.argmax(dim=1) for each in drawn], dim=1)
        return actions.squeeze(1) if self.is_single else actions

    def log_probabilities(self, outputs: Tensor, actions: Tensor) -> Tensor:
        chosen = []
        indices = (actions,) if self.is_single else actions.unbind(dim=1)
        for logits, index in zip(self._logarithms(outputs), indices, strict=True):
            chosen.append(logits.gather(1, index[:, None]))
        return torch.cat(chosen, dim=1).sum(dim=1)

    def entropies(self, outputs: Tensor) -> Tensor:
        summed = [(logs.exp() * logs).sum(dim=1) for logs in self._logarithms(outputs)]
        return -torch.stack(summed).sum(dim=0)

    def _logarithms(self, outputs: Tensor) -> list[Tensor]:
        return [torch.log_softmax(each, dim=1) for each in outputs.split(self.sizes, dim=1)]


@dataclass(frozen=True)
class Gaussian:
    """Independent normal numbers, whose means are the outputs.

    Args:
        log_deviations: logarithms of the standard deviations, (numbers,), the same everywhere.
    """

    log_deviations: Tensor

    def noise(self, rows: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
        """Normal."""
        shape = (rows, len(self.log_deviations))
        drawn = torch.empty(shape, dtype=torch.float32, device=device)
        return drawn.normal_(generator=generator)

    def sample(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """Float32 (rows, numbers), unbounded."""
        return outputs + self.log_deviations.exp() * noise

    def log_probabilities(self, outputs: Tensor, actions: Tensor) -> Tensor:
        scaled = (actions - outputs) * torch.exp(-self.log_deviations)
        logarithms = -0.5 * scaled.square() - self.log_deviations - 0.5 * math.log(2 * math.pi)
        return logarithms.sum(dim=1)

    def entropies(self, outputs: Tensor) -> Tensor:
        entropy = (0.5 + 0.5 * math.log(2 * math.pi) + self.log_deviations).sum()
        return entropy.expand(len(outputs))
