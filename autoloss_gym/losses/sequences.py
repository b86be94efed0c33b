"""Losses of sequences of words."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def mean_cross_entropy(
    logits: Float[Tensor, "num_envs rows time words"], targets: Int64[Tensor, "num_envs rows time"]
) -> Float[Tensor, " num_envs"]:
    """Cross-entropy in nats, mean over the words of each run; padding, id 0, does not count."""
    logarithms = torch.log_softmax(logits, dim=3)
    losses = -logarithms.gather(3, targets[..., None])[..., 0]
    counts = targets != 0
    # Not `losses * counts`: the loss of padding may be infinite.
    total = torch.where(counts, losses, 0.0).flatten(1).sum(dim=1)
    return total / counts.flatten(1).sum(dim=1)
