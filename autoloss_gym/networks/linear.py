"""Batched matrix products whose bits do not depend on the batch.

The bits of a matrix product depend on where the rows of a run lie in memory. Sizes are therefore
filled up with zeros to multiples of 64 bytes, so that the rows of every run begin alike.
"""

from jaxtyping import Float
from torch import Tensor, baddbmm, bmm
from torch.nn.functional import pad

_ALIGNMENT = 16  # float32 numbers in 64 bytes


def affine(
    inputs: Float[Tensor, "num_envs rows features"],
    weights: Float[Tensor, "num_envs features outputs"],
    bias: Float[Tensor, "num_envs outputs"] | None,
    scale: float = 1.0,
) -> Float[Tensor, "num_envs rows outputs"]:
    """`bias + scale · inputs @ weights` of every run; without a bias, `inputs @ weights`."""
    features, outputs = weights.shape[1:]
    more_features = -features % _ALIGNMENT
    more_outputs = -outputs % _ALIGNMENT
    if more_features:
        inputs = pad(inputs, (0, more_features))
    if more_features or more_outputs:
        weights = pad(weights, (0, more_outputs, 0, more_features))
    if bias is None:
        assert scale == 1.0
        product = bmm(inputs, weights)
    else:
        bias = pad(bias, (0, more_outputs)) if more_outputs else bias
        product = baddbmm(bias[:, None, :], inputs, weights, alpha=scale)
    # The gradient of a slice, also of all, is a copy.
    return product[:, :, :outputs] if more_outputs else product


def sum_of_outer_products(
    first: Float[Tensor, "num_envs rows features"], second: Float[Tensor, "num_envs rows outputs"]
) -> Float[Tensor, "num_envs features outputs"]:
    """Σ over rows of `first ⊗ second` of every run, the gradient of `affine` by its weights."""
    features, outputs = first.shape[2], second.shape[2]
    more_features = -features % _ALIGNMENT
    more_outputs = -outputs % _ALIGNMENT
    if more_features:
        first = pad(first, (0, more_features))
    if more_outputs:
        second = pad(second, (0, more_outputs))
    return bmm(first.transpose(1, 2), second)[:, :features, :outputs]
