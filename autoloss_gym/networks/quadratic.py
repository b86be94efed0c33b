"""A quadratic model of many runs.

Its weights are `linear` (num_envs, d), `quadratic` (num_envs, d, d) and perhaps `constant`
(num_envs, 1).
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.networks.linear import affine
from autoloss_gym.tools.tree import Parameters


def predict(
    weights: Parameters, inputs: Float[Tensor, "num_envs rows features"]
) -> Float[Tensor, "num_envs rows"]:
    """ŷ = w·u + uᵀA u / 10 (+ c), as u·(w + Aᵀu / 10)."""
    slopes = affine(inputs, weights["quadratic"], weights["linear"], scale=0.1)
    prediction = (slopes * inputs).sum(dim=2)
    return prediction + weights["constant"] if "constant" in weights else prediction


def initial_weights(
    keys: Int64[Tensor, " num_envs"], size: int, constant: bool
) -> dict[str, dict[str, Tensor]]:
    """Blocks of the same names as their weights: normal with deviation 0.1 and 0.01, and 0."""
    linear = random.normal(random.fold_in(keys, "linear"), (size,), 0.1)
    quadratic = random.normal(random.fold_in(keys, "quadratic"), (size, size), 0.01)
    blocks = {"linear": {"linear": linear}, "quadratic": {"quadratic": quadratic}}
    if constant:
        blocks["constant"] = {"constant": torch.zeros_like(linear[:, :1])}
    return blocks


def excess_risk(
    weights: Parameters,
    truth: Float[Tensor, "num_envs features"],
    half_width: float,
    true_quadratic: Float[Tensor, "num_envs features features"] | None = None,
) -> Float[Tensor, " num_envs"]:
    """E[(ŷ − w*·u − uᵀA* u / 10)²] in closed form, for u uniform on [−half_width, half_width]ᵈ,
    truth w* and true quadratic part A*, by default 0.
    """
    second = half_width**2 / 3  # E[u²]
    fourth = half_width**4 / 5  # E[u⁴]

    # The variance and the mean of uᵀA u come from the symmetric part of A.
    quadratic = weights["quadratic"]
    if true_quadratic is not None:
        quadratic = quadratic - true_quadratic
    symmetric = (quadratic + quadratic.transpose(1, 2)) / 2
    diagonal = symmetric.diagonal(dim1=1, dim2=2)
    all_squares = (symmetric * symmetric).sum(dim=(1, 2))
    diagonal_squares = (diagonal * diagonal).sum(dim=1)
    off_diagonal_squares = all_squares - diagonal_squares
    variance = (fourth - second**2) * diagonal_squares + 2 * second**2 * off_diagonal_squares
    constant = weights["constant"].squeeze(1) if "constant" in weights else 0.0
    mean = second * diagonal.sum(dim=1) / 10 + constant

    error = weights["linear"] - truth
    return second * (error * error).sum(dim=1) + variance / 100 + mean * mean
