"""Step sizes as factors on the task's learning rate, equal ratios apart."""

import math
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.tools.bounds import Bounds

Levels = Annotated[int, Bounds("an integer from 2 to 99", least=2, most=99)]
StepSizeRange = Annotated[float, Bounds("a number above 1 and at most 1e6", above=1, most=1e6)]


def on_line(values: Float[Tensor, " num_envs"], wide: float) -> Float[Tensor, " num_envs"]:
    """The factors `wide`^a for the entries a of an action, which are clipped to [-1, 1]."""
    return torch.exp(values.clamp(-1, 1) * math.log(wide))


def on_levels(levels: Tensor, count: int, wide: float) -> Float[Tensor, " num_envs"]:
    """The factors of the levels 0 … `count` − 1, from 1 / `wide` to `wide`."""
    places = levels.to(torch.float32) * (2 / (count - 1)) - 1
    return on_line(places, wide)
