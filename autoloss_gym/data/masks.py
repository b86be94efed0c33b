"""Parts of data of which each run has its own number of rows: the others are masked."""

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def kept_rows(counts: Int64[Tensor, " num_envs"], rows: int) -> Float[Tensor, "num_envs rows"]:
    """1 for the first `counts` rows of every run, 0 for the others, float32."""
    position = torch.arange(rows, dtype=torch.int64, device=counts.device)
    return (position < counts[:, None]).to(torch.float32)


def as_weights(part: dict[str, Any]) -> dict[str, Any]:
    """`part` with "kept" (num_envs, rows) replaced by "weights", which make sums the means over the
    rows that a run keeps.
    """
    kept = part["kept"]
    others = {name: values for name, values in part.items() if name != "kept"}
    return {**others, "weights": kept / kept.sum(dim=1, keepdim=True)}
