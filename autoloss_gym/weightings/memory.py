"""Bounded memory of the last measured values of every loss."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from autoloss_gym.weightings.measurements import Measurements
from autoloss_gym.weightings.single import MOST, Numbers, Single


def start(
    losses: Float[Tensor, "num_envs losses"], size: int
) -> dict[str, Shaped[Tensor, "num_envs losses ..."]]:
    """An empty memory.

    Returns:
        `history` (num_envs, losses, size), newest first; `seen` (num_envs, losses), the number of
        values that are known.
    """
    return {
        "history": losses.new_zeros(*losses.shape, size),
        "seen": torch.zeros_like(losses, dtype=torch.int64),
    }


def remember(state: dict[str, Tensor], measured: Measurements) -> None:
    """Push the refreshed losses; the others keep their history."""
    history, refreshed = state["history"], measured.refreshed
    pushed = torch.cat([measured.losses[..., None], history[..., :-1]], dim=-1)
    state["history"] = torch.where(refreshed[..., None], pushed, history)
    state["seen"] = (state["seen"] + refreshed).clamp(0, history.shape[-1])


def remember_one(single: Single) -> list[Numbers] | None:
    """`remember` for one run all of whose losses were measured; None until its memory is full."""
    history = single.state["history"]
    size = len(history[0])
    if size > MOST or any(known < size for known in single.state["seen"]):
        return None
    pushed = [[loss, *values[:-1]] for loss, values in zip(single.losses, history, strict=True)]
    single.state["history"] = pushed
    return pushed
