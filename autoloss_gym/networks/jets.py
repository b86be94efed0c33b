"""Perceptrons of many runs together with their derivatives by the inputs.

Value, first derivatives and the sum of some second derivatives go through the layers side by side
(Taylor mode), as more rows of one matrix product; with their gradients in closed form. A jet is the
tensor (num_envs, streams, rows) of these: the value, ∂₁ … ∂_d, and Σ ∂ᵢ² over the dimensions that
are asked for, as in Li et al., "A computational framework for neural network-based variational
Monte Carlo with Forward Laplacian", Nature Machine Intelligence 6, 2024.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
    """What a layer of units was given, each (num_envs, rows or 1, units), and what it made of it."""

    firsts: list[Tensor]  # first derivatives of the sums
    second: Tensor | None  # their curvature; None in the first layer, where it is 0
    squares: Tensor | None  # Σ over `curved` of the squared first derivatives
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
    passes = _hidden(layers, points, inputs, activation)
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
    passes = _hidden(layers, points, inputs, activation)

    def pullback(slopes: Tensor) -> list[Layer]:
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
        gradients.append(_by_first_layer(passes[0], by_streams, points, inputs, activation))
        kept = []
        for (rows, columns), (weight, bias) in zip(sizes, reversed(gradients), strict=True):
            kept.append((weight[:, :rows, :columns], bias[:, :columns]))
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
    layers: Sequence[Layer], points: Tensor, inputs: Inputs, activation: str
) -> list[_Pass]:
    """All layers but the last."""
    passes = [_first(layers[0], points, inputs, activation)]
    for weight, bias in layers[1:-1]:
        streams = passes[-1].streams
        sums = torch.bmm(streams.flatten(1, 2), weight).view(*streams.shape[:3], -1)
        value = sums[:, 0] + bias[:, None, :]
        if inputs.curved is None:
            passes.append(_activated(value, [], None, None, activation))
            continue
        firsts = list(sums[:, 1:-1].unbind(1))
        squares = _squares(firsts, inputs.curved)
        passes.append(_activated(value, firsts, sums[:, -1], squares, activation))
    return passes


def _first(layer: Layer, points: Tensor, inputs: Inputs, activation: str) -> _Pass:
    """The first layer, whose sums have constant slopes and no curvature."""
    weight, bias = layer
    value = bias[:, None, :]
    for index, (centre, scale) in enumerate(zip(inputs.centres, inputs.scales, strict=True)):
        place = (points[:, :, index, None] - centre) * scale
        value = value + place * weight[:, index, None, :]
    if inputs.curved is None:
        return _activated(value, [], None, None, activation)
    firsts = [weight[:, index, None, :] * scale for index, scale in enumerate(inputs.scales)]
    return _activated(value, firsts, None, _squares(firsts, inputs.curved), activation)


def _activated(
    value: Tensor,
    firsts: list[Tensor],
    second: Tensor | None,
    squares: Tensor | None,
    activation: str,
) -> _Pass:
    known = activated(activation, value)
    units, slope, bend = known
    streams = [units, *(slope * first for first in firsts)]
    if squares is not None:
        curvature = bend * squares
        streams.append(curvature if second is None else curvature + slope * second)
    return _Pass(firsts, second, squares, known, torch.stack(streams, dim=1))


def _squares(firsts: list[Tensor], curved: tuple[int, ...]) -> Tensor:
    squares = [firsts[index] * firsts[index] for index in curved]
    return sum(squares[1:], squares[0])


def _output(layer: Layer, streams: Tensor) -> Tensor:
    weight, bias = layer
    out = affine(streams.flatten(1, 2), weight, None).view(streams.shape[:3])
    return torch.cat([out[:, :1] + bias[:, :, None], out[:, 1:]], dim=1)


def _by_sums(each: _Pass, by_streams: Tensor, inputs: Inputs, activation: str) -> Tensor:
    """The gradient by a layer's sums and their derivatives, from that by its streams."""
    _, slope, bend = each.known
    by_units = by_streams[:, 0]
    if inputs.curved is None or each.squares is None:
        return (by_units * slope)[:, None]
    by_curvature = by_streams[:, -1]
    by_bend = by_curvature * bend
    third = third_derivative(activation, each.known)
    by_value = by_units * slope + by_curvature * (third * each.squares)
    if each.second is not None:
        by_value = by_value + by_bend * each.second
    parts = []
    for index, first in enumerate(each.firsts):
        by_slope = by_streams[:, 1 + index]
        by_value = by_value + by_slope * (bend * first)
        by_first = by_slope * slope
        if index in inputs.curved:
            by_first = by_first + 2 * (by_bend * first)
        parts.append(by_first)
    return torch.stack([by_value, *parts, by_curvature * slope], dim=1)


def _by_first_layer(
    each: _Pass, by_streams: Tensor, points: Tensor, inputs: Inputs, activation: str
) -> Layer:
    by_sums = _by_sums(each, by_streams, inputs, activation)
    by_value = by_sums[:, 0]
    rows = []
    for index, (centre, scale) in enumerate(zip(inputs.centres, inputs.scales, strict=True)):
        place = (points[:, :, index, None] - centre) * scale
        row = (by_value * place).sum(1)
        if inputs.curved is not None:
            row = row + by_sums[:, 1 + index].sum(1) * scale
        rows.append(row)
    return torch.stack(rows, dim=1), by_value.sum(1)
