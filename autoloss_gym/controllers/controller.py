"""The small network that looks at a training run and says what to do next."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from autoloss_gym.tools.bounds import PositiveFloat, Units
from autoloss_gym.tools.fields import converted

_NEGATIVE_SLOPE = 0.2  # of the leaky ReLUs, as in the released code of AutoLoss


class Controller(nn.Module):
    """Leaky-ReLU perceptron from observations (…, features) to the logits of actions (…, actions).

    Args:
        num_features: numbers in an observation.
        num_actions: actions that there are.
        hidden_sizes: units of each hidden layer; () makes the controller linear.
        temperature: the logits are divided by it.

    Raises:
        ValueError: a size is no integer from 1 to 65536, or the temperature not positive.
    """

    def __init__(
        self,
        num_features: int,
        num_actions: int,
        hidden_sizes: tuple[int, ...],
        temperature: float,
    ) -> None:
        super().__init__()
        sizes = (
            converted("num_features", num_features, Units),
            *converted("hidden_sizes", hidden_sizes, tuple[Units, ...]),
            converted("num_actions", num_actions, Units),
        )
        layers: list[nn.Module] = []
        for size, next_size in pairwise(sizes):
            layers.append(_linear(size, next_size))
            layers.append(nn.LeakyReLU(_NEGATIVE_SLOPE))
        self.layers = nn.Sequential(*layers[:-1])  # logits are not rectified
        self.temperature = converted("temperature", temperature, PositiveFloat)

    def forward(self, observations: Tensor) -> Tensor:
        """The logits, float32, on the device of the weights."""
        return self.layers(observations) / self.temperature


def _linear(num_inputs: int, num_outputs: int) -> nn.Linear:
    layer = nn.Linear(num_inputs, num_outputs, dtype=torch.float32)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
