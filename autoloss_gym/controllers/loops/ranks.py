"""One decision for all processes of a distributed training."""

from collections.abc import Callable

import torch
import torch.distributed as dist

from autoloss_gym.controllers.loops.decision import Decision

_NOBODY = -1.0  # in the place of the chosen loss


def shared_decision(decide: Callable[[], Decision], num_losses: int) -> Decision:
    """What the first rank decides; without several ranks, what this process does."""
    if not _has_ranks():
        return decide()
    numbers = torch.zeros(num_losses + 2, dtype=torch.float32, device=_device())
    if dist.get_rank() == 0:
        own = decide()
        chosen = _NOBODY if own.chosen is None else float(own.chosen)
        values = [*own.weights, own.step_size, chosen]
        numbers = torch.tensor(values, dtype=torch.float32, device=numbers.device)
    dist.broadcast(numbers, src=0)
    *weights, step_size, chosen = numbers.tolist()
    return Decision(tuple(weights), step_size, None if chosen == _NOBODY else int(chosen))


def _has_ranks() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _device() -> torch.device:
    """Where the process group sends tensors."""
    return torch.device("cpu" if "gloo" in dist.get_backend() else "cuda")
