"""Encoder and decoder of an autoencoder: two perceptrons of many runs."""

from itertools import pairwise

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.networks.perceptron import initial_weight, perceptron
from autoloss_gym.tools.tree import Parameters


def initial_layers(
    keys: Int64[Tensor, " num_envs"], sizes: tuple[int, ...]
) -> dict[str, Float[Tensor, "num_envs ..."]]:
    """Normal weights of variance 2 / inputs (He et al. 2015), biases 0."""
    weights = {}
    biases = {}
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        key = random.fold_in(keys, index)
        weights[f"weight_{index}"] = initial_weight(key, inputs, outputs)
        biases[f"bias_{index}"] = torch.zeros(
            len(keys), outputs, dtype=torch.float32, device=keys.device
        )
    # The order in which they are packed: all weights, then all biases.
    return weights | biases


def encode(
    parameters: Parameters, images: Float[Tensor, "num_envs rows pixels"]
) -> Float[Tensor, "num_envs rows units"]:
    """Activations of the code."""
    return torch.relu(perceptron(images, _layers(parameters["encoder"])))


def decode(
    parameters: Parameters, code: Float[Tensor, "num_envs rows units"]
) -> Float[Tensor, "num_envs rows pixels"]:
    """Reconstructions within [0, 1]: the logistic function of the decoder's outputs."""
    outputs = perceptron(code, _layers(parameters["decoder"]))
    # As (1 + tanh(x / 2)) / 2, because the bits of `sigmoid` depend on the batch.
    return torch.tanh(outputs * 0.5) * 0.5 + 0.5


def _layers(block: Parameters) -> list[tuple[Tensor, Tensor]]:
    """Weight and bias of each layer of a block."""
    num_layers = len(block) // 2
    return [(block[f"weight_{index}"], block[f"bias_{index}"]) for index in range(num_layers)]


def reconstruction_error(parameters: Parameters, images: Tensor) -> Float[Tensor, " num_envs"]:
    """Mean squared error over the pixels of all images."""
    error = decode(parameters, encode(parameters, images)) - images
    return (error * error).mean(dim=2).mean(dim=1)
