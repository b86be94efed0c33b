"""Losses that fit a model to targets, for many runs at once."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def cross_entropy(
    logits: Float[Tensor, "num_envs rows classes"], targets: Int64[Tensor, "num_envs rows"]
) -> Float[Tensor, " num_envs"]:
    """Mean over rows of −log softmax(logits) at the target."""
    # Over the middle dimension of (num_envs, classes, rows), log_softmax is many times as fast.
    logs = torch.log_softmax(logits.transpose(1, 2).contiguous(), dim=1)
    chosen = logs.gather(1, targets[:, None]).squeeze(1)
    return -chosen.mean(dim=1)


def error_rate(
    logits: Float[Tensor, "num_envs rows classes"], targets: Int64[Tensor, "num_envs rows"]
) -> Float[Tensor, " num_envs"]:
    """Share of rows whose largest logit is not the target's."""
    wrong = logits.argmax(dim=2) != targets
    return wrong.to(torch.float32).mean(dim=1)


def mean_squared_error(
    predictions: Float[Tensor, "num_envs rows"],
    targets: Float[Tensor, "num_envs rows"],
    weights: Float[Tensor, "num_envs rows"] | None = None,
) -> Float[Tensor, " num_envs"]:
    """Mean over rows of (prediction − target)²; with weights, which sum to 1, the weighted sum."""
    error = predictions - targets
    squares = error * error
    return squares.mean(dim=1) if weights is None else (squares * weights).sum(dim=1)
