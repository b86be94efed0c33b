"""Batched matrix products whose bits do not depend on the batch."""

from jaxtyping import Float
from torch import Tensor, baddbmm, bmm
from torch.nn.functional import pad

_ALIGNMENT = 16  # float32 numbers in 64 bytes: the bits of a matrix product depend on where the rows of a run lie


def affine(
    inputs: Float[Tensor, "num_envs rows features"],
    weights: Float[Tensor, "num_envs features outputs"],
    bias: Float[Tensor, "num_envs outputs"],
    scale: float = 1.0,
) -> Float[Tensor, "num_envs rows outputs"]:
    """`bias + scale · inputs @ weights` of every run, computed on sizes that are padded with zeros
    where they must be.
    """
    features, outputs = weights.shape[1:]
    more_features, more_outputs = -features % _ALIGNMENT, -outputs % _ALIGNMENT
    if more_features:
        inputs = pad(inputs, (0, more_features))
    if more_features or more_outputs:
        weights, bias = (
            pad(weights, (0, more_outputs, 0, more_features)),
            pad(bias, (0, more_outputs)),
        )
    return baddbmm(bias[:, None, :], inputs, weights, alpha=scale)[:, :, :outputs]


def sum_of_outer_products(
    first: Float[Tensor, "num_envs rows features"], second: Float[Tensor, "num_envs rows outputs"]
) -> Float[Tensor, "num_envs features outputs"]:
    """Σ over rows of `first ⊗ second` of every run, the gradient of `affine` by its weights; padded
    likewise.
    """
    features, outputs = first.shape[2], second.shape[2]
    more_features, more_outputs = -features % _ALIGNMENT, -outputs % _ALIGNMENT
    first = pad(first, (0, more_features)) if more_features else first
    second = pad(second, (0, more_outputs)) if more_outputs else second
    return bmm(first.transpose(1, 2), second)[:, :features, :outputs]
