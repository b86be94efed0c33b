"""Losses of perceptrons, with their gradients in closed form."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym.core.loss import ClosedForm
from autoloss_gym.losses.penalties import named_tensors
from autoloss_gym.networks.perceptron import layers_of, perceptron_and_pullback, units_by_rows
from autoloss_gym.tools.tree import Parameters

Slope = tuple[Float[Tensor, " num_envs"], Float[Tensor, "num_envs outputs rows"]]


def cross_entropy_and_slope(
    logits: Float[Tensor, "num_envs classes rows"],
    targets: Int64[Tensor, "num_envs rows"],
    weights: Float[Tensor, "num_envs rows"] | None = None,
) -> Slope:
    """`fitting.cross_entropy`, and its gradient by the logits: (softmax − one-hot) / rows.

    Where rows have weights, these take the place of 1 / rows.
    """
    logs = torch.log_softmax(logits, dim=1)
    index = targets[:, None]
    chosen = logs.gather(1, index).squeeze(1)
    slope = logs.exp().scatter_add(1, index, logs.new_full((), -1.0).expand(index.shape))
    if weights is None:
        return -chosen.mean(dim=1), slope * (1 / logs.shape[2])
    return -(chosen * weights).sum(dim=1), slope * weights[:, None]


def squared_error_and_slope(
    outputs: Float[Tensor, "num_envs outputs rows"],
    targets: Float[Tensor, "num_envs rows"] | Float[Tensor, "num_envs rows outputs"],
    weights: Float[Tensor, "num_envs rows"] | None = None,
) -> Slope:
    """Mean over rows and outputs of (output − target)², and its gradient by the outputs.

    Where rows have weights, these take the place of 1 / rows.
    """
    error = outputs - (targets[:, None] if targets.dim() == 2 else targets.transpose(1, 2))
    squares = (error * error).mean(dim=1)
    factor = 2 / outputs.shape[1]
    if weights is None:
        return squares.mean(dim=1), error * (factor / outputs.shape[2])
    return (squares * weights).sum(dim=1), error * (weights * factor)[:, None]


def perceptron_fit(loss_and_slope: Callable[..., Slope], activation: str = "relu") -> ClosedForm:
    """The loss of a perceptron on the rows of a part, with its gradient in closed form.

    The part has "inputs" (num_envs, rows, inputs), "targets" and perhaps "weights" (num_envs,
    rows), which sum to 1. The parameters are "weight_0" (num_envs, inputs, outputs), "bias_0"
    (num_envs, outputs) and so on, in whichever blocks.

    Args:
        loss_and_slope: `cross_entropy_and_slope` or `squared_error_and_slope`.
        activation: of the hidden units, see `perceptron_and_pullback`.
    """

    def loss(parameters: Parameters, part: Any) -> Float[Tensor, " num_envs"]:
        outputs = units_by_rows(part["inputs"], layers_of(named_tensors(parameters)), activation)
        return loss_and_slope(outputs, part["targets"], part.get("weights"))[0]

    def value_and_gradient(parameters: Parameters, part: Any) -> tuple[Tensor, Parameters]:
        layers = layers_of(named_tensors(parameters))
        outputs, pullback = perceptron_and_pullback(part["inputs"], layers, activation)
        values, slope = loss_and_slope(outputs, part["targets"], part.get("weights"))
        gradients = {}
        for index, (weight, bias) in enumerate(pullback(slope)):
            gradients[f"weight_{index}"] = weight
            gradients[f"bias_{index}"] = bias
        by_block = {}
        for block, tensors in parameters.items():
            by_block[block] = {name: gradients[name] for name in tensors}
        return values, by_block

    return ClosedForm(loss, value_and_gradient)
