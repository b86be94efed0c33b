"""The plain network of a controller: from what it observes to logits, values or a mean action."""

import functools
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from autoloss_gym.tools.arguments import one_of
from autoloss_gym.tools.bounds import PositiveFloat, Units
from autoloss_gym.tools.fields import converted

# That of the leaky ReLU is of the released code of AutoLoss.
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky_relu": functools.partial(nn.LeakyReLU, 0.2),
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
}


class Perceptron(nn.Module):
    """Layers from observations (…, inputs) to outputs (…, outputs).

    Args:
        num_inputs: numbers in an observation.
        num_outputs: actions that there are, or entries of one.
        hidden_sizes: units of each hidden layer; () makes it linear.
        temperature: the outputs are divided by it.
        activation: of the hidden layers, one of `ACTIVATIONS`.
        squash: whether tanh bounds the outputs.

    Raises:
        ValueError: a size is no integer from 1 to 65536, the temperature not positive, or there is
            no such activation.
    """

    def __init__(
        self,
        num_inputs: int,
        num_outputs: int,
        hidden_sizes: Sequence[int],
        temperature: float = 1.0,
        activation: str = "leaky_relu",
        squash: bool = False,
    ) -> None:
        super().__init__()
        self.sizes = (
            converted("num_inputs", num_inputs, Units),
            *converted("hidden_sizes", hidden_sizes, tuple[Units, ...]),
            converted("num_outputs", num_outputs, Units),
        )
        self.temperature = converted("temperature", temperature, PositiveFloat)
        self.activation = one_of("activation", activation, tuple(ACTIVATIONS))
        self.squash = one_of("squash", squash, (False, True))
        layers: list[nn.Module] = []
        for size, next_size in pairwise(self.sizes):
            layers.append(_linear(size, next_size))
            layers.append(ACTIVATIONS[self.activation]())
        self.layers = nn.Sequential(*layers[:-1])  # outputs are not rectified

    def forward(self, observations: Tensor) -> Tensor:
        """The outputs, float32, on the device of the weights."""
        outputs: Tensor = self.layers(observations)
        if self.temperature != 1:
            outputs = outputs / self.temperature
        return torch.tanh(outputs) if self.squash else outputs


def _linear(num_inputs: int, num_outputs: int) -> nn.Linear:
    layer = nn.Linear(num_inputs, num_outputs, dtype=torch.float32)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
