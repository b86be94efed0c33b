"""Figures of decoded sequences, against the right ones."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

Sequences = Int64[Tensor, "num_envs rows time"]


def ended(sequences: Sequences, end: int) -> Sequences:
    """The words up to the first `end`, without it, and 0 from there on."""
    after = (sequences == end).to(torch.int64).cumsum(dim=2)
    return torch.where(after == 0, sequences, 0)


def share_exact(found: Sequences, targets: Sequences) -> Float[Tensor, " num_envs"]:
    """Share of the sequences that are right in every word; both are padded with 0."""
    return (found == targets).all(dim=2).to(torch.float32).mean(dim=1)


def tag_f1(found: Sequences, targets: Sequences, outside: int | None) -> Float[Tensor, " num_envs"]:
    """Micro-averaged F1 over words: 2 · hits / (tags found + tags there are).

    Where every word has a tag, this is the share of the words that are tagged rightly.

    Args:
        found: a tag for every word, and anything where the targets are padded.
        targets: the right tags, padded with 0.
        outside: the tag of words that are nothing; None where there is none.
    """
    words = targets != 0
    is_tag = words if outside is None else words & (targets != outside)
    says_tag = words if outside is None else words & (found != outside)
    hits = (is_tag & (found == targets)).flatten(1).sum(dim=1)
    total = (is_tag.flatten(1).sum(dim=1) + says_tag.flatten(1).sum(dim=1)).clamp(min=1)
    return 2 * hits.to(torch.float32) / total
