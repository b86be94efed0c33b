"""A first call of every function of a user's, on one run, before anything is lifted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from autoloss_gym import random
from autoloss_gym.core.modules.data import ModuleData, mini_batch
from autoloss_gym.core.modules.lifting import scalar
from autoloss_gym.core.modules.template import PROBE_SEED, made, seeded
from autoloss_gym.tools import tree

Function = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Trial:
    """What a first call has shown.

    Args:
        reached: of each loss, the parameters that it depends on.
        values: of each metric of the validation and of the test, for a model that is not trained.
        drawing: names of the functions that draw random numbers.
    """

    reached: Mapping[str, frozenset[str]]
    values: Mapping[str, float]
    drawing: frozenset[str]


def try_out(
    factory: Callable[[], nn.Module],
    losses: Mapping[str, Function],
    metrics: Mapping[str, tuple[Function, str]],
    data: ModuleData,
    batch_size: int | None,
) -> Trial:
    """Call every function once.

    Args:
        factory: makes the module.
        losses: by the names that errors give them.
        metrics: by such names, with the part of the data that each is given.
        data: of the runs.
        batch_size: rows of the losses' batches.

    Raises:
        ValueError: a function fails, or returns what it should not.
    """
    module = made(factory, PROBE_SEED)
    reached: dict[str, frozenset[str]] = {}
    values: dict[str, float] = {}
    drawing = set()

    batch = data.example["train"]
    if batch_size is not None:
        key = torch.zeros(1, dtype=torch.int64, device="cpu")
        drawn = mini_batch(batch, random.fold_in(key, "trial"), batch_size, is_shared=True)
        batch = tree.map_tensors(lambda leaf: leaf[0], drawn)
    for name, function in losses.items():
        module.train()
        value, draws = _called(name, function, module, batch)
        reached[name] = _reached(name, value, module)
        drawing |= {name} if draws else set()
    for name, (function, part) in metrics.items():
        module.eval()
        value, draws = _called(name, function, module, data.example[part])
        values[name] = float(value.detach())
        drawing |= {name} if draws else set()
    return Trial(reached, values, frozenset(drawing))


def _called(name: str, function: Function, module: nn.Module, batch: Any) -> tuple[Tensor, bool]:
    """The value of a function, and whether it draws random numbers."""
    if not callable(function):
        raise ValueError(f"{name}={function!r}: expected a function (model, batch) of one run")
    batch = tree.map_tensors(Tensor.detach, batch)
    with seeded(PROBE_SEED), torch.enable_grad():
        before = torch.get_rng_state()
        try:
            value = function(module, batch)
        except Exception as error:
            reason = " ".join(str(error).split())
            raise ValueError(
                f"{name} failed on one run of its part of the data: {type(error).__name__}: "
                f"{reason}"
            ) from error
        draws = not torch.equal(before, torch.get_rng_state())
    return scalar(name, value), draws


def _reached(name: str, value: Tensor, module: nn.Module) -> frozenset[str]:
    """Names of the parameters that a loss depends on."""
    trained = [each for each in module.named_parameters() if each[1].requires_grad]
    found: frozenset[str] = frozenset()
    if value.requires_grad:
        tensors = [parameter for _, parameter in trained]
        gradients = torch.autograd.grad(value, tensors, allow_unused=True)
        named = zip(trained, gradients, strict=True)
        found = frozenset(each[0] for each, gradient in named if gradient is not None)
    if not found:
        raise ValueError(
            f"{name} depends on no parameter of the module; compute it from model(…), without "
            ".detach(), .item() or torch.no_grad()"
        )
    return found
