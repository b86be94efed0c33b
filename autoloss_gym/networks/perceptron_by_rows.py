"""Perceptrons whose units are the last dimension, with their gradients in closed form."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from autoloss_gym.networks.perceptron import Layer

_ALIGNMENT = 16  # float32 numbers in 64 bytes


def perceptron_by_rows(
    inputs: Float[Tensor, "num_envs rows inputs"], layers: Sequence[Layer]
) -> tuple[Tensor, Callable[[Float[Tensor, "num_envs rows outputs"]], list[Layer]]]:
    """`perceptron`, and what turns a gradient by its outputs into that by weights and biases.

    It is quicker than `perceptron_and_pullback` where a layer has as many units as there are rows.

    Args:
        inputs: rows of each run.
        layers: weight and bias of every layer, first to last; at least one layer.

    Returns:
        Outputs (num_envs, rows, outputs), and the function.
    """
    filled = [_filled(*layer) for layer in layers]
    num_outputs = layers[-1][0].shape[2]
    given = [_widened(inputs)]  # what each layer got
    sums = _sums(given[0], filled[0])
    for layer in filled[1:]:
        given.append(sums.relu_())  # nobody needs the sums
        sums = _sums(given[-1], layer)

    # Not annotated in full: PyTorch's compiler does not trace such types.
    def pullback(slopes: Tensor) -> Any:
        by_sums = _widened(slopes)
        gradients = []
        for index in range(len(layers) - 1, -1, -1):
            num_before, num_after = layers[index][0].shape[1:]
            weight = torch.bmm(given[index].transpose(1, 2), by_sums)
            bias = by_sums.sum(dim=1)
            gradients.append((weight[:, :num_before, :num_after], bias[:, :num_after]))
            if index:
                by_units = torch.bmm(by_sums, filled[index][0].transpose(1, 2))
                # 0 or 1. A product with them takes a fraction of the time of a boolean mask.
                by_sums = by_units.mul_(given[index].sign())
        return gradients[::-1]

    return sums[:, :, :num_outputs], pullback


def _sums(units: Float[Tensor, "num_envs rows units"], layer: Layer) -> Tensor:
    weight, bias = layer
    # A product with a bias in it, `baddbmm`, takes longer where the bias is expanded over rows.
    return torch.bmm(units, weight).add_(bias[:, None])


def _filled(weight: Tensor, bias: Tensor) -> Layer:
    """A layer with units whose weights and biases are 0, as in `networks.linear`."""
    more_before, more_after = (-size % _ALIGNMENT for size in weight.shape[1:])
    if more_before or more_after:
        weight = pad(weight, (0, more_after, 0, more_before))
    return weight, pad(bias, (0, more_after)) if more_after else bias


def _widened(values: Float[Tensor, "num_envs rows units"]) -> Tensor:
    more = -values.shape[2] % _ALIGNMENT
    return pad(values, (0, more)) if more else values
