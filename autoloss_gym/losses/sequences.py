"""Losses of sequences of words."""

from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional


def mean_cross_entropy(
    logits: Float[Tensor, "num_envs rows time words"], targets: Int64[Tensor, "num_envs rows time"]
) -> Float[Tensor, " num_envs"]:
    """Cross-entropy in nats, mean over the words of each run; padding, id 0, does not count."""
    flat = logits.flatten(0, 2), targets.flatten()
    losses = functional.cross_entropy(*flat, ignore_index=0, reduction="none")
    counts = (targets != 0).flatten(1).sum(dim=1)
    return losses.view(len(targets), -1).sum(dim=1) / counts
