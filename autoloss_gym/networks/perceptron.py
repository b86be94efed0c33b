"""A perceptron of many runs with weights of their own."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.networks.linear import affine

Layer = tuple[Tensor, Tensor]  # weights (num_envs, inputs, outputs) and bias (num_envs, outputs)


def perceptron(
    layers: Sequence[Layer], inputs: Float[Tensor, "num_envs rows features"]
) -> Float[Tensor, "num_envs rows outputs"]:
    """Affine layers with ReLU between them; the last one is linear."""
    *hidden, last = layers
    values = inputs
    for weight, bias in hidden:
        values = torch.relu(affine(values, weight, bias))
    return affine(values, *last)
