"""Encoder and decoder of an autoencoder: two perceptrons of many runs."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.loss import ClosedForm
from autoloss_gym.networks.perceptron import Layer, initial_weight, perceptron
from autoloss_gym.networks.perceptron_by_rows import perceptron_by_rows
from autoloss_gym.tools.tree import Parameters

_LEAST = -80.0  # of what the logistic function is taken, or its gradient were 0 · ∞


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
    return _logistic(perceptron(code, _layers(parameters["decoder"])))


def _logistic(values: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """1 / (1 + e⁻ᶻ): the bits of `torch.sigmoid` depend on the batch, `tanh` takes three times as
    long.
    """
    return torch.reciprocal(torch.exp(-values.clamp(min=_LEAST)) + 1)


def _layers(block: Parameters) -> list[Layer]:
    """Weight and bias of each layer of a block."""
    num_layers = len(block) // 2
    return [(block[f"weight_{index}"], block[f"bias_{index}"]) for index in range(num_layers)]


def reconstruction_error(parameters: Parameters, images: Tensor) -> Float[Tensor, " num_envs"]:
    """Mean squared error over the pixels of all images."""
    error = decode(parameters, encode(parameters, images)) - images
    return (error * error).mean(dim=2).mean(dim=1)


def reconstruction_and_gradient(
    parameters: Parameters, images: Float[Tensor, "num_envs rows pixels"]
) -> tuple[Float[Tensor, " num_envs"], Parameters]:
    """`reconstruction_error`, and its gradient by both blocks.

    The gradient of the mean square of y − x over P pixels of B images, by what the reconstruction y
    is the logistic function of, is 2 (y − x) y (1 − y) / PB.
    """
    encoder, decoder = parameters["encoder"], parameters["decoder"]
    # Units of the code are ReLU units as those of the other hidden layers.
    outputs, pullback = perceptron_by_rows(images, [*_layers(encoder), *_layers(decoder)])
    reconstructions = _logistic(outputs)
    error = reconstructions - images
    values = (error * error).mean(dim=2).mean(dim=1)
    factor = 2 / (images.shape[1] * images.shape[2])
    gradients = pullback((1 - reconstructions) * reconstructions * error * factor)
    num_encoder = len(encoder) // 2
    by_block = {
        "encoder": _named(encoder, gradients[:num_encoder]),
        "decoder": _named(decoder, gradients[num_encoder:]),
    }
    return values, by_block


def sparsity(coefficient: float) -> ClosedForm:
    """The L1 norm of the code, mean over images, times the coefficient; the decoder has no part."""

    def loss(parameters: Parameters, images: Any) -> Float[Tensor, " num_envs"]:
        # Activations of ReLU units are not negative: they are their own absolute values.
        return encode(parameters, images).sum(dim=2).mean(dim=1) * coefficient

    def value_and_gradient(parameters: Parameters, images: Any) -> tuple[Tensor, Parameters]:
        encoder = parameters["encoder"]
        outputs, pullback = perceptron_by_rows(images, _layers(encoder))
        code = torch.relu(outputs)
        values = code.sum(dim=2).mean(dim=1) * coefficient
        gradients = pullback(code.sign() * (coefficient / images.shape[1]))
        return values, {"encoder": _named(encoder, gradients)}

    return ClosedForm(loss, value_and_gradient)


def _named(block: Iterable[str], layers: list[Layer]) -> Parameters:
    """The tensors of layers by name, in the order of the names of a block."""
    tensors = {}
    for index, (weight, bias) in enumerate(layers):
        tensors[f"weight_{index}"] = weight
        tensors[f"bias_{index}"] = bias
    return {name: tensors[name] for name in block}
