"""A normal posterior of weights, N(mean, diag σ²) with σ = log(1 + e^spread)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus


def deviation_of(spread: Float[Tensor, " weights"]) -> Float[Tensor, " weights"]:
    """σ = log(1 + e^spread), positive."""
    return softplus(spread)


def spread_of(deviation: Float[Tensor, " weights"]) -> Float[Tensor, " weights"]:
    """The spread of which this is the deviation."""
    return torch.log(torch.expm1(deviation))


def divergence_from_prior(
    mean: Float[Tensor, " weights"], deviation: Float[Tensor, " weights"], prior_deviation: float
) -> Float[Tensor, ""]:
    """Kullback–Leibler divergence of the posterior from N(0, prior_deviation²), in nats.

    It is minus the entropy of the posterior plus the expected cost of its weights, λ‖θ‖² with λ = 1
    / (2 · prior_deviation²), and a constant.
    """
    variance = prior_deviation * prior_deviation
    squares = (deviation * deviation + mean * mean) / variance
    logarithms = torch.log(deviation) - math.log(prior_deviation)
    return (squares / 2 - logarithms - 0.5).sum()
