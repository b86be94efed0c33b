"""Perceptrons of many runs, each with weights of its own."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.networks.linear import affine

# Weight (num_envs, inputs, outputs) and bias (num_envs, outputs); sizes differ between the layers.
Layer = tuple[Float[Tensor, "num_envs _ _"], Float[Tensor, "num_envs _"]]


def perceptron(
    inputs: Float[Tensor, "num_envs rows inputs"], layers: Sequence[Layer]
) -> Float[Tensor, "num_envs rows outputs"]:
    """ReLU between affine layers, of which the last one is linear.

    Args:
        inputs: rows of each run.
        layers: weight and bias of every layer, first to last; at least one layer. A network that
            all runs share is given expanded to them (`weight.expand(num_envs, -1, -1)`): a single
            product for the rows of all runs would have bits that depend on their number.
    """
    *hidden, (last_weight, last_bias) = layers
    values = inputs
    for weight, bias in hidden:
        values = torch.relu(affine(values, weight, bias))
    return affine(values, last_weight, last_bias)


def initial_weight(
    keys: Int64[Tensor, " num_envs"], inputs: int, outputs: int, deviation: float | None = None
) -> Float[Tensor, "num_envs inputs outputs"]:
    """Normal weights of one layer.

    Args:
        keys: one for each run, derived for this layer.
        inputs, outputs: units of the layer before and of this one.
        deviation: standard deviation; by default √(2 / inputs), which keeps the variance of ReLU
            units from layer to layer (He et al. 2015).
    """
    if deviation is None:
        deviation = math.sqrt(2 / inputs)
    return random.normal(keys, (inputs, outputs), deviation)


def initial_layers(
    keys: Int64[Tensor, " num_envs"], sizes: Sequence[int], start: float
) -> dict[str, dict[str, Tensor]]:
    """Blocks of a perceptron, "layer_0" and so on, each with "weight_0" and "bias_0".

    Args:
        keys: one for each run.
        sizes: units of the inputs, the hidden layers and the outputs.
        start: deviation of the weights, and value of all biases.
    """
    blocks: dict[str, dict[str, Tensor]] = {}
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        stream = random.fold_in(keys, f"layer {index}")
        bias = torch.full((len(stream), outputs), start, dtype=torch.float32, device=stream.device)
        blocks[f"layer_{index}"] = {
            f"weight_{index}": initial_weight(stream, inputs, outputs, start),
            f"bias_{index}": bias,
        }
    return blocks
