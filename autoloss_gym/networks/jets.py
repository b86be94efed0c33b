"""Perceptrons of many runs together with their derivatives by the inputs.

Value, first derivatives and the sum of some second derivatives go through the layers side by side
(Taylor mode), as more rows of one matrix product; with their gradients in closed form. A jet is the
tensor (num_envs, streams, rows) of these: the value, ∂₁ … ∂_d, and Σ ∂ᵢ² over the dimensions that
are asked for, as in Li et al., "A computational framework for neural network-based variational
Monte Carlo with Forward Laplacian", Nature Machine Intelligence 6, 2024.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from autoloss_gym.networks.activations import Activated, activated, third_derivative
from autoloss_gym.networks.linear import affine, sum_of_outer_products
from autoloss_gym.networks.perceptron import Layer

_ALIGNMENT = 16  # as in `linear`: hidden units are filled up, so that rows of all runs begin alike


@dataclass(frozen=True)
class Inputs:
    """How a network takes its inputs, and which of their derivatives it gives.

    Args:
        centres, scales: of every dimension; the first layer sees (x − centre) · scale.
        curved: dimensions whose second derivatives are summed; None for the value alone.
    """

    centres: tuple[float, ...]
    scales: tuple[float, ...]
    curved: tuple[int, ...] | None = None

    @property
    def streams(self) -> int:
        """Numbers at each point."""
        return 1 if self.curved is None else len(self.scales) + 2


@dataclass(frozen=True, eq=False)
class _Pass:
    """What the units of a layer were given, and what they made of it.

    Args:
        sums: derivatives of the sums by stream, (num_envs, streams, rows, units), in the first
            layer the same for all rows, (num_envs, streams, 1, units); the first stream is unused.
        squares: Σ over the curved dimensions of the squared first derivatives; None where only
            the value is asked for.
        known: the activation and its derivatives.
        streams: what the next layer is given.
    """

    sums: Float[Tensor, "num_envs streams _ units"]
    squares: Float[Tensor, "num_envs _ units"] | None
    known: Activated
    streams: Float[Tensor, "num_envs streams rows units"]


def jet(
    layers: Sequence[Layer],
    points: Float[Tensor, "num_envs rows dimensions"],
    inputs: Inputs,
    activation: str,
) -> Float[Tensor, "num_envs streams rows"]:
    """Value and derivatives of a perceptron with one output at `points`.

    Args:
        layers: weight and bias of every layer; at least two layers.
        points: inputs of each run.
        inputs: their scales, and which derivatives are wanted.
        activation: of the hidden units, one of `activations.ACTIVATIONS`.
    """
    layers = _padded(layers)
    passes = _hidden(layers, _places(points, inputs), inputs, activation)
    return _output(layers[-1], passes[-1].streams)


def jet_and_pullback(
    layers: Sequence[Layer],
    points: Float[Tensor, "num_envs rows dimensions"],
    inputs: Inputs,
    activation: str,
) -> tuple[Tensor, Callable[[Float[Tensor, "num_envs streams rows"]], list[Layer]]]:
    """`jet`, and what turns a gradient by it into the gradient by weights and biases."""
    sizes = [weight.shape[1:] for weight, _ in layers]
    layers = _padded(layers)
    places = _places(points, inputs)
    passes = _hidden(layers, places, inputs, activation)

    # Not annotated in full: PyTorch's compiler does not trace such types.
    def pullback(slopes: Tensor) -> Any:
        weight = layers[-1][0]
        rows = passes[-1].streams.flatten(1, 2)
        flat = slopes.flatten(1)[:, :, None]
        gradients = [(sum_of_outer_products(rows, flat), slopes[:, 0].sum(1, keepdim=True))]
        by_streams = slopes[..., None] * weight[:, None, None, :, 0]
        for index in range(len(layers) - 2, 0, -1):
            by_sums = _by_sums(passes[index], by_streams, inputs, activation)
            rows = passes[index - 1].streams.flatten(1, 2)
            flat = by_sums.flatten(1, 2)
            gradients.append((sum_of_outer_products(rows, flat), by_sums[:, 0].sum(1)))
            by_rows = torch.bmm(flat, layers[index][0].transpose(1, 2))
            by_streams = by_rows.view(passes[index - 1].streams.shape)
        by_sums = _by_sums(passes[0], by_streams, inputs, activation)
        gradients.append(_by_first_layer(by_sums, places, inputs))
        kept = []
        for (before, after), (weight, bias) in zip(sizes, reversed(gradients), strict=True):
            kept.append((weight[:, :before, :after], bias[:, :after]))
        return kept

    return _output(layers[-1], passes[-1].streams), pullback


def _padded(layers: Sequence[Layer]) -> list[Layer]:
    """The layers with hidden units that have weights of 0 only."""
    padded = []
    last = len(layers) - 1
    for index, (weight, bias) in enumerate(layers):
        rows = -weight.shape[1] % _ALIGNMENT if index else 0
        columns = -weight.shape[2] % _ALIGNMENT if index < last else 0
        if rows or columns:
            weight = pad(weight, (0, columns, 0, rows))
            bias = pad(bias, (0, columns))
        padded.append((weight, bias))
    return padded


def _hidden(
    layers: Sequence[Layer], places: Sequence[Tensor], inputs: Inputs, activation: str
) -> list[_Pass]:
    """All layers but the last."""
    weight, bias = layers[0]
    value = bias[:, None, :]
    for index, place in enumerate(places):
        value = value + place * weight[:, index, None, :]
    sums = _first_sums(weight, inputs)
    passes = [_activated(value, sums, inputs, activation)]
    for weight, bias in layers[1:-1]:
        streams = passes[-1].streams
        sums = torch.bmm(streams.flatten(1, 2), weight).view(*streams.shape[:3], -1)
        value = sums[:, 0] + bias[:, None, :]
        passes.append(_activated(value, sums, inputs, activation))
    return passes


def _places(points: Tensor, inputs: Inputs) -> list[Float[Tensor, "num_envs rows 1"]]:
    """The scaled inputs, one dimension after another."""
    places = []
    for index, (centre, scale) in enumerate(zip(inputs.centres, inputs.scales, strict=True)):
        places.append((points[:, :, index, None] - centre) * scale)
    return places


def _first_sums(weight: Tensor, inputs: Inputs) -> Float[Tensor, "num_envs streams 1 units"]:
    """The derivatives of the sums of the first layer, which have no curvature."""
    nothing = torch.zeros_like(weight[:, :1])
    if inputs.curved is None:
        return nothing[:, None]
    slopes = [weight[:, index, None] * scale for index, scale in enumerate(inputs.scales)]
    return torch.stack([nothing, *slopes, nothing], dim=1)


def _activated(value: Tensor, sums: Tensor, inputs: Inputs, activation: str) -> _Pass:
    known = activated(activation, value)
    units, slope, bend = known
    if inputs.curved is None:
        return _Pass(sums, None, known, units[:, None])
    firsts = [sums[:, 1 + index] for index in inputs.curved]
    squares = [first * first for first in firsts]
    square = sum(squares[1:], squares[0])
    # All streams at once, also the value's, which is then written over: this is quicker than to
    # compute the others one by one and to copy them side by side.
    streams = slope[:, None] * sums
    streams[:, 0] = units
    streams[:, -1].add_(bend * square)
    return _Pass(sums, square, known, streams)


def _output(layer: Layer, streams: Tensor) -> Tensor:
    weight, bias = layer
    out = affine(streams.flatten(1, 2), weight, None).view(streams.shape[:3])
    return torch.cat([out[:, :1] + bias[:, :, None], out[:, 1:]], dim=1)


def _by_sums(
    each: _Pass, by_streams: Tensor, inputs: Inputs, activation: str
) -> Float[Tensor, "num_envs streams rows units"]:
    """The gradient by a layer's sums and their derivatives, from that by its streams."""
    _, slope, bend = each.known
    by_sums = by_streams * slope[:, None]
    if inputs.curved is None or each.squares is None:
        return by_sums
    by_curvature = by_streams[:, -1]
    by_slope = (by_streams[:, 1:] * each.sums[:, 1:]).sum(1)
    third = third_derivative(activation, each.known)
    # Not `+=`, which would also copy what it has changed to where it is.
    by_sums[:, 0].add_(by_slope * bend + by_curvature * (third * each.squares))
    twice = 2 * (by_curvature * bend)
    for index in inputs.curved:
        by_sums[:, 1 + index].add_(twice * each.sums[:, 1 + index])
    return by_sums


def _by_first_layer(by_sums: Tensor, places: Sequence[Tensor], inputs: Inputs) -> Layer:
    by_value = by_sums[:, 0]
    rows = []
    for index, place in enumerate(places):
        row = (by_value * place).sum(1)
        if inputs.curved is not None:
            row = row + by_sums[:, 1 + index].sum(1) * inputs.scales[index]
        rows.append(row)
    return torch.stack(rows, dim=1), by_value.sum(1)
