"""Smooth activations with their derivatives, for networks differentiated by their inputs."""

import torch
from jaxtyping import Float
from torch import Tensor

ACTIVATIONS = ("tanh", "sin", "softplus")
Activated = tuple[Tensor, Tensor, Tensor]


def activated(name: str, values: Float[Tensor, "..."]) -> Activated:
    """An activation σ of `values`, σ′ and σ″, each in their shape."""
    if name == "sin":
        sine = torch.sin(values)
        return sine, torch.cos(values), -sine
    if name == "softplus":
        # The sigmoid by tanh: the bits of torch.sigmoid depend on the place in the tensor.
        slope = torch.tanh(values * 0.5) * 0.5 + 0.5
        # ln(1 + eᶻ), without an overflow; so written, its derivative at 0 is ½ to autograd as well.
        # The bits of torch.logaddexp depend on the place in the tensor too.
        size = values.abs()
        soft = 0.5 * values + 0.5 * size + torch.log1p(torch.exp(-size))
        return soft, slope, slope - slope * slope
    units = torch.tanh(values)
    slope = 1 - units * units
    return units, slope, -2 * units * slope


def third_derivative(name: str, known: Activated) -> Float[Tensor, "..."]:
    """σ‴, from what `activated` returned."""
    _, slope, bend = known
    if name == "sin":
        return -slope
    if name == "softplus":
        return bend * (1 - 2 * slope)
    return slope * (4 - 6 * slope)
