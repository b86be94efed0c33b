"""Multi-layer perceptrons of many runs."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.networks.linear import affine


def perceptron(
    layers: Sequence[tuple[Tensor, Tensor]], inputs: Float[Tensor, "num_envs rows features"]
) -> Float[Tensor, "num_envs rows outputs"]:
    """Outputs of affine layers with ReLU between them; the last one stays linear.

    Args:
        layers: weights (num_envs, inputs, outputs) and biases (num_envs, outputs), first to last.
        inputs: of the first layer.
    """
    values = inputs
    for index, (weight, bias) in enumerate(layers):
        if index:
            values = torch.relu(values)
        values = affine(values, weight, bias)
    return values
