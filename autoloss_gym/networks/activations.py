"""Activations with their derivatives, for gradients in closed form."""

import torch
from jaxtyping import Float
from torch import Tensor

# Smooth ones, for networks that are differentiated by their inputs.
ACTIVATIONS = ("tanh", "sin", "softplus")
Activated = tuple[Tensor, Tensor, Tensor]


def units(name: str, values: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """An activation σ of `values`: one of `ACTIVATIONS`, or "relu"."""
    if name == "relu":
        return torch.relu(values)
    if name == "sin":
        return torch.sin(values)
    if name == "softplus":
        # ln(1 + eᶻ), without an overflow; so written, its derivative at 0 is ½ to autograd as well.
        # The bits of torch.logaddexp depend on the place in the tensor.
        size = values.abs()
        return 0.5 * values + 0.5 * size + torch.log1p(torch.exp(-size))
    return torch.tanh(values)


def slopes(
    name: str, values: Float[Tensor, "..."], found: Float[Tensor, "..."]
) -> Float[Tensor, "..."]:
    """σ′ of `values`, whose `units` are `found`; that of "relu" follows from these alone."""
    if name == "relu":
        # 0 or 1. A product with them takes a fraction of the time of a boolean mask.
        return found.sign()
    if name == "sin":
        return torch.cos(values)
    if name == "softplus":
        # The sigmoid by tanh: the bits of torch.sigmoid depend on the place in the tensor too.
        return torch.tanh(values * 0.5) * 0.5 + 0.5
    return 1 - found * found


def activated(name: str, values: Float[Tensor, "..."]) -> Activated:
    """One of `ACTIVATIONS` σ of `values`, σ′ and σ″, each in their shape."""
    found = units(name, values)
    slope = slopes(name, values, found)
    if name == "sin":
        return found, slope, -found
    if name == "softplus":
        return found, slope, slope - slope * slope
    return found, slope, -2 * found * slope


def third_derivative(name: str, known: Activated) -> Float[Tensor, "..."]:
    """σ‴, from what `activated` returned."""
    _, slope, bend = known
    if name == "sin":
        return -slope
    if name == "softplus":
        return bend * (1 - 2 * slope)
    return slope * (4 - 6 * slope)
