"""Perceptrons of many runs, each with weights of its own."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import pad

from autoloss_gym import random
from autoloss_gym.networks import activations
from autoloss_gym.networks.linear import affine
from autoloss_gym.tools.tree import Parameters

# Weight (num_envs, inputs, outputs) and bias (num_envs, outputs); sizes differ between the layers.
Layer = tuple[Float[Tensor, "num_envs _ _"], Float[Tensor, "num_envs _"]]

_ALIGNMENT = 16  # float32 numbers in 64 bytes


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
        values = affine(values, weight, bias).relu_()
    return affine(values, last_weight, last_bias)


def units_by_rows(
    inputs: Float[Tensor, "num_envs rows inputs"],
    layers: Sequence[Layer],
    activation: str = "relu",
) -> Float[Tensor, "num_envs outputs rows"]:
    """The perceptron with rows as its last dimension, as `perceptron_and_pullback` computes it.

    It is quicker than `perceptron` where there are few units and many rows: biases, activations and
    what is done with few outputs run along the rows.
    """
    return perceptron_and_pullback(inputs, layers, activation)[0]


def perceptron_and_pullback(
    inputs: Float[Tensor, "num_envs rows inputs"],
    layers: Sequence[Layer],
    activation: str = "relu",
) -> tuple[Tensor, Callable[[Float[Tensor, "num_envs outputs rows"]], list[Layer]]]:
    """A perceptron, and what turns a gradient by its outputs into that by weights and biases.

    Args:
        inputs: rows of each run.
        layers: weight and bias of every layer, first to last; at least one layer.
        activation: of the hidden units, one of `activations.ACTIVATIONS` or "relu"; the last layer
            is linear.

    Returns:
        Outputs (num_envs, outputs, rows), and the function.
    """
    num_rows, num_outputs = inputs.shape[1], layers[-1][0].shape[2]
    filled = _filled_inputs(inputs)
    widened = _filled_layers(layers, filled)
    sums = _sums(filled.transpose(1, 2), widened[0])
    given: list[tuple[Tensor, Tensor]] = []  # what the units of hidden layers got and made of it
    for layer in widened[1:]:
        # Where nobody needs the sums, the units take their place.
        found = sums.relu_() if activation == "relu" else activations.units(activation, sums)
        given.append((sums, found))
        sums = _sums(found, layer)

    # Not annotated in full: PyTorch's compiler does not trace such types.
    def pullback(slopes: Tensor) -> Any:
        more = filled.shape[1] - num_rows, widened[-1][0].shape[2] - num_outputs
        by_sums = pad(slopes, (0, more[0], 0, more[1])) if any(more) else slopes
        gradients = []
        for index in range(len(layers) - 1, -1, -1):
            before = given[index - 1][1] if index else filled.transpose(1, 2)
            weight = torch.bmm(before, by_sums.transpose(1, 2))
            num_before, num_after = layers[index][0].shape[1:]
            bias = by_sums.sum(dim=2)
            gradients.append((weight[:, :num_before, :num_after], bias[:, :num_after]))
            if index:
                by_units = torch.bmm(widened[index][0], by_sums)
                by_sums = by_units.mul_(activations.slopes(activation, *given[index - 1]))
        return gradients[::-1]

    return sums[:, :num_outputs, :num_rows], pullback


def _sums(units: Float[Tensor, "num_envs units rows"], layer: Layer) -> Tensor:
    weight, bias = layer
    # A product with a bias in it, `baddbmm`, takes longer where the bias is expanded over rows.
    return torch.bmm(weight.transpose(1, 2), units).add_(bias[:, :, None])


def _filled_inputs(inputs: Float[Tensor, "num_envs rows inputs"]) -> Tensor:
    """Inputs with zeros at the end, so that their products have bits that no batch changes.

    What a run has of each tensor fills whole multiples of 64 bytes, so that it begins alike for all
    runs. A single row gets a second one, because products with a vector take other paths.
    """
    rows, features = inputs.shape[1:]
    more_rows = int(rows == 1)
    more_features = -features % _granularity(rows + more_rows)
    if not (more_rows or more_features):
        return inputs
    return pad(inputs, (0, more_features, 0, more_rows))


def _filled_layers(layers: Sequence[Layer], inputs: Tensor) -> list[Layer]:
    """The layers for filled inputs, with units whose weights and biases are 0."""
    granularity = _granularity(inputs.shape[1])
    filled = []
    num_before = inputs.shape[2]
    for weight, bias in layers:
        more_before = num_before - weight.shape[1]
        more_after = -weight.shape[2] % granularity
        if more_before or more_after:
            weight = pad(weight, (0, more_after, 0, more_before))
        if more_after:
            bias = pad(bias, (0, more_after))
        filled.append((weight, bias))
        num_before = weight.shape[2]
    return filled


def _granularity(rows: int) -> int:
    """Numbers of units, for so many rows, that fill multiples of 64 bytes."""
    return _ALIGNMENT // math.gcd(_ALIGNMENT, rows)


def layers_of(named: Parameters) -> list[Layer]:
    """Weight and bias of every layer from "weight_0", "bias_0" and so on."""
    count = sum(name.startswith("weight_") for name in named)
    return [(named[f"weight_{index}"], named[f"bias_{index}"]) for index in range(count)]


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
