"""Vectors by direction and length, and step sizes that suit a gradient."""

import torch
from jaxtyping import Float
from torch import Tensor

_TINY = 1e-30  # the length that a vector of 0 counts for


def polar(
    vectors: Float[Tensor, "num_envs d"],
) -> tuple[Float[Tensor, "num_envs d"], Float[Tensor, " num_envs"]]:
    """Directions and logarithms of lengths, also of vectors whose squares would overflow."""
    scale = vectors.detach().abs().amax(dim=1, keepdim=True).clamp(min=_TINY)
    scaled = vectors / scale
    square = (scaled * scaled).sum(dim=1)
    # Of a vector that is 0, the derivative is 0 as well.
    length = torch.sqrt(torch.where(square > 0, square, 1.0))
    return scaled / length[:, None], torch.log(scale[:, 0]) + torch.log(length)


def log_quadratic(
    eigenvalues: Float[Tensor, "num_envs d"],
    direction: Float[Tensor, "num_envs d"],
    log_length: Float[Tensor, " num_envs"],
) -> Float[Tensor, " num_envs"]:
    """log ½ wᵀH w of points that are given by direction and length."""
    curvature = (eigenvalues * direction * direction).sum(dim=1)
    return 2 * log_length + torch.log(0.5 * curvature)


def long_rate(
    gradients: Float[Tensor, "num_envs d"], eigenvalues: Float[Tensor, "num_envs d"]
) -> Float[Tensor, " num_envs"]:
    """gᵀg / gᵀHg: it minimises ½ wᵀH w along its gradient g, and is the long step of Barzilai and
    Borwein after a step along g.
    """
    square = gradients * gradients
    return square.sum(dim=1) / (eigenvalues * square).sum(dim=1)


def short_rate(
    gradients: Float[Tensor, "num_envs d"], eigenvalues: Float[Tensor, "num_envs d"]
) -> Float[Tensor, " num_envs"]:
    """gᵀHg / ‖Hg‖²: the short step of Barzilai and Borwein after a step along g."""
    curved = eigenvalues * gradients
    return (curved * gradients).sum(dim=1) / (curved * curved).sum(dim=1)
