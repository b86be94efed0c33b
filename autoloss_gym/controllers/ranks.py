"""One decision for all processes of a distributed training."""

from collections.abc import Callable

import torch
import torch.distributed as dist

from autoloss_gym.core.task import Control


def shared_control(decide: Callable[[], Control], num_pairs: int) -> Control:
    """The control that the first rank decides; without several ranks, that of this process."""
    if not _has_ranks():
        return decide()
    numbers = torch.zeros(num_pairs + 1, dtype=torch.float32, device=_device())
    if dist.get_rank() == 0:
        control = decide()
        numbers = torch.cat([control.weights[0], control.step_size]).to(numbers.device)
    dist.broadcast(numbers, src=0)
    found = numbers.cpu()
    return Control(weights=found[None, :-1], step_size=found[-1:])


def _has_ranks() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _device() -> torch.device:
    """Where the process group sends tensors."""
    name = "cpu" if "gloo" in dist.get_backend() else "cuda"
    return torch.device(name)
