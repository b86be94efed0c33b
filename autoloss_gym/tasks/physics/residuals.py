"""How far a network is from what it is to satisfy, and the gradient of the mean of its square."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.networks.jets import Inputs, jet, jet_and_pullback
from autoloss_gym.networks.perceptron import Layer, initial_weight
from autoloss_gym.tasks.physics.equations.equation import Condition, Equation
from autoloss_gym.tools.tree import Parameters

Network = Mapping[str, Float[Tensor, "num_envs ..."]]  # "weight_0", "bias_0" and so on


@dataclass(frozen=True)
class Residuals:
    """Residuals of the networks of an equation.

    Args:
        equation: whose domain the inputs are scaled from.
        activation: of the hidden units.
    """

    equation: Equation
    activation: str

    def values(
        self, network: Network, points: Float[Tensor, "num_envs count dimensions"]
    ) -> Float[Tensor, "num_envs count"]:
        """The network itself at `points`."""
        return jet(layers(network), points, self._inputs(with_slopes=False), self.activation)[:, 0]

    def of(self, network: Network, condition: Condition) -> Float[Tensor, "num_envs count"]:
        """Left-hand side of a condition minus its right-hand side, at each of its points."""
        inputs = self._inputs(with_slopes=condition.coefficients is not None)
        out = jet(layers(network), condition.points, inputs, self.activation)
        return self._residual(out, condition)

    def loss(self, parameters: Parameters, condition: Condition) -> Float[Tensor, " num_envs"]:
        """The mean of the squares of `of`."""
        return self.of(parameters["network"], condition).square().mean(1)

    def loss_and_gradient(
        self, parameters: Parameters, condition: Condition
    ) -> tuple[Float[Tensor, " num_envs"], Parameters]:
        """`loss`, and its gradient by all weights and biases in closed form."""
        inputs = self._inputs(with_slopes=condition.coefficients is not None)
        given = layers(parameters["network"]), condition.points, inputs, self.activation
        out, pullback = jet_and_pullback(*given)
        residual = self._residual(out, condition)
        # The gradient of the mean of squares by the residual, then by what it is made of.
        by_residual = residual * (2 / residual.shape[1])
        slopes = pullback(self._slopes(out, condition) * by_residual[:, None])
        gradient = {}
        for index, (weight, bias) in enumerate(slopes):
            gradient[f"weight_{index}"] = weight
            gradient[f"bias_{index}"] = bias
        return residual.square().mean(1), {"network": gradient}

    def _inputs(self, *, with_slopes: bool) -> Inputs:
        equation = self.equation
        pairs = list(zip(equation.low, equation.high, strict=True))
        centres = tuple((low + high) / 2 for low, high in pairs)
        scales = tuple(2 / (high - low) for low, high in pairs)
        return Inputs(centres, scales, equation.curved if with_slopes else None)

    def _residual(
        self, out: Float[Tensor, "num_envs streams count"], condition: Condition
    ) -> Tensor:
        if condition.coefficients is None:
            return out[:, 0] - condition.target
        left = (condition.coefficients * out).sum(1)
        if condition.advection is not None:
            left = left + condition.advection * out[:, 0] * out[:, 1 + self.equation.advected]
        return left - condition.target

    def _slopes(self, out: Float[Tensor, "num_envs streams count"], condition: Condition) -> Tensor:
        """The gradient of each residual by its own streams, (num_envs, streams, count or 1)."""
        if condition.coefficients is None:
            return torch.ones_like(out)
        if condition.advection is None:
            return condition.coefficients
        index = 1 + self.equation.advected
        columns = list(condition.coefficients.expand_as(out).unbind(1))
        columns[0] = columns[0] + condition.advection * out[:, index]
        columns[index] = columns[index] + condition.advection * out[:, 0]
        return torch.stack(columns, dim=1)


def layers(network: Network) -> Sequence[Layer]:
    """Weight and bias of every layer, first to last."""
    count = len(network) // 2
    return [(network[f"weight_{index}"], network[f"bias_{index}"]) for index in range(count)]


def initial_network(
    keys: Int64[Tensor, " num_envs"], sizes: Sequence[int], first_scale: float
) -> dict[str, Tensor]:
    """Weights and biases of a network.

    Args:
        keys: one for each run.
        sizes: units of the inputs, the hidden layers and the outputs.
        first_scale: deviation of the first layer's weights, and half-width of its biases.
    """
    network: dict[str, Tensor] = {}
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        stream = random.fold_in(keys, f"layer {index}")
        deviation = first_scale if index == 0 else math.sqrt(1 / inputs)
        network[f"weight_{index}"] = initial_weight(stream, inputs, outputs, deviation)
        width = first_scale if index == 0 else 0.0
        bias = random.fold_in(stream, "bias")
        network[f"bias_{index}"] = random.uniform(bias, (outputs,), -1.0, 1.0) * width
    return network
