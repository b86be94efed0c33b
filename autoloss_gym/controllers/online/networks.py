"""Actors and critics of many runs, each with weights of its own."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import pad

from autoloss_gym import random
from autoloss_gym.core import blocks
from autoloss_gym.networks.linear import affine
from autoloss_gym.networks.perceptron import initial_weight

_HIDDEN = (32, 32)  # units of each network (AutoLoss §5.1.3)
# All choices are about as probable, and all values about 0, before anything was learned.
_LAST_DEVIATION = 0.01
_ALIGNMENT = 16  # float32 numbers in 64 bytes


@dataclass(frozen=True)
class ActorCritic:
    """Two perceptrons of tanh units a run, in one packed row of numbers.

    Layers are filled up with zeros to multiples of 64 bytes, where `affine` computes the same bits
    for a run whatever runs are beside it. The zeros stay zeros: their gradients are 0.

    Args:
        num_inputs: numbers of an observation.
        num_actions: choices that there are.
    """

    num_inputs: int
    num_actions: int

    def initial(self, keys: Int64[Tensor, " num_envs"]) -> Float[Tensor, "num_envs size"]:
        """Packed weights and biases, of which the biases are 0."""
        networks = {"actor": self.num_actions, "critic": 1}
        layers = [
            _initial_layer(random.fold_in(keys, f"{name} {index}"), inputs, outputs, index)
            for name, num_outputs in networks.items()
            for index, (inputs, outputs) in enumerate(
                pairwise((self.num_inputs, *_HIDDEN, num_outputs))
            )
        ]
        return torch.cat(layers, dim=1)

    def __call__(
        self,
        parameters: Float[Tensor, "num_envs size"],
        observations: Float[Tensor, "num_envs rows inputs"],
    ) -> tuple[Float[Tensor, "num_envs rows actions"], Float[Tensor, "num_envs rows"]]:
        """Logarithms of the probabilities of the actions, and values."""
        inputs = pad(observations, (0, -self.num_inputs % _ALIGNMENT))
        tensors = list(blocks.view(parameters, self._shapes()).values())
        half = len(tensors) // 2
        logits = _perceptron(inputs, tensors[:half])[:, :, : self.num_actions]
        values = _perceptron(inputs, tensors[half:])[:, :, 0]
        return torch.log_softmax(logits.contiguous(), dim=2), values.contiguous()

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {}
        for name, num_outputs in (("actor", self.num_actions), ("critic", 1)):
            sizes = (self.num_inputs, *_HIDDEN, num_outputs)
            filled = [size + -size % _ALIGNMENT for size in sizes]
            for index, (inputs, outputs) in enumerate(pairwise(filled)):
                shapes[f"{name} weight {index}"] = (inputs, outputs)
                shapes[f"{name} bias {index}"] = (outputs,)
        return shapes


def _initial_layer(
    keys: Int64[Tensor, " num_envs"], inputs: int, outputs: int, index: int
) -> Float[Tensor, "num_envs size"]:
    """Weights and biases of one layer, filled up with zeros and packed."""
    is_last = index == len(_HIDDEN)
    deviation = _LAST_DEVIATION if is_last else inputs**-0.5
    weight = initial_weight(keys, inputs, outputs, deviation)
    filled = pad(weight, (0, -outputs % _ALIGNMENT, 0, -inputs % _ALIGNMENT))
    return blocks.pack({"weight": filled, "bias": torch.zeros_like(filled[:, 0])})


def _perceptron(
    inputs: Float[Tensor, "num_envs rows inputs"], tensors: list[Tensor]
) -> Float[Tensor, "num_envs rows outputs"]:
    """tanh between affine layers, given as weight and bias of each in turn."""
    *hidden, last_weight, last_bias = tensors
    values = inputs
    for weight, bias in zip(hidden[::2], hidden[1::2], strict=True):
        values = torch.tanh(affine(values, weight, bias))
    return affine(values, last_weight, last_bias)
