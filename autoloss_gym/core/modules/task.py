"""A task whose losses and figures are functions of an `nn.Module`."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from autoloss_gym import random
from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.loss import Buffered, Buffers, Loss
from autoloss_gym.core.modules.data import ModuleData, mini_batch
from autoloss_gym.core.modules.figures import Figures
from autoloss_gym.core.modules.lifting import Lifted
from autoloss_gym.core.modules.models import Modules, on_host
from autoloss_gym.core.state import Keys, Split
from autoloss_gym.core.task import Metric, Pair
from autoloss_gym.tools.tree import Parameters

Function = Callable[[Any, Any], Any]


@dataclass(frozen=True, kw_only=True)
class ModuleTask(GradientTask):
    """A task whose losses and figures are functions of a module; `from_module` makes it.

    Args:
        factory: makes a new module.
        functions: of the losses, by name, in the order of the pairs.
        blocks: names of the parameters of each block.
        arms: the pairs.
        figures: of the validation: metric and function.
        scores: of the test, likewise.
        source: the data of all runs.
        batch_size: rows that the losses of a step see; None for all.
        drawing: names of the functions that draw random numbers.
        vectorize: whether `torch.func.vmap` is tried.
    """

    factory: Callable[[], nn.Module]
    functions: tuple[tuple[str, Function], ...]
    blocks: tuple[tuple[str, tuple[str, ...]], ...]
    arms: tuple[Pair, ...]
    figures: tuple[tuple[Metric, Function], ...]
    scores: tuple[tuple[Metric, Function], ...]
    source: ModuleData
    batch_size: int | None
    drawing: frozenset[str]
    vectorize: bool

    @property
    def pairs(self) -> tuple[Pair, ...]:
        return self.arms

    @property
    def validation_metrics(self) -> tuple[Metric, ...]:
        return tuple(metric for metric, _ in self.figures)

    @property
    def score_metrics(self) -> tuple[Metric, ...]:
        return tuple(metric for metric, _ in self.scores)

    def make_data(self, keys: Keys) -> dict[str, Any]:
        # The key is for draws within a validation, which are the same at every one.
        if self.source.is_shared:
            return {"key": keys.problem}
        parts = self.source.of_problems(on_host(keys.problem), keys.problem.device)
        return {"key": keys.problem, **parts}

    def initial_parameters(self, keys: Keys) -> dict[str, dict[str, Tensor]]:
        tensors = self._modules.build(keys)
        return {block: {name: tensors[name] for name in names} for block, names in self.blocks}

    def initial_buffers(self, keys: Keys) -> Buffers:
        trained = {name for _, names in self.blocks for name in names}
        tensors = self._modules.build(keys)
        return {name: tensor for name, tensor in tensors.items() if name not in trained}

    @property
    def full_batch(self) -> bool:
        return self.batch_size is None and not self._losses_draw

    def batch(self, data: dict[str, Any], keys: Int64[Tensor, " num_envs"]) -> dict[str, Any]:
        batch = {"key": keys} if self._losses_draw else {}
        if self.batch_size is not None:
            part = self._part(data, "train", keys.device)
            shared = self.source.is_shared
            drawn = random.fold_in(keys, "mini-batch")
            return {**batch, "part": mini_batch(part, drawn, self.batch_size, shared)}
        return batch if self.source.is_shared else {**batch, "part": data["train"]}

    def losses(self) -> dict[str, Loss]:
        losses: dict[str, Loss] = {}
        for name, function in self.functions:
            lifted = self._modules.lifted(label(name), function, training=True)
            loss = functools.partial(self._loss, lifted)
            has_buffers = bool(self._modules.template.buffers)
            losses[name] = Buffered(loss) if has_buffers else functools.partial(_value, loss)
        return losses

    def _loss(
        self, lifted: Lifted, parameters: Parameters, batch: dict[str, Any]
    ) -> tuple[Float[Tensor, " num_envs"], Buffers]:
        tensors = _by_name(parameters)
        is_shared = "part" not in batch
        part = batch.get("part")
        if is_shared:
            device = next(iter(tensors.values())).device
            part = self.source.shared_on(device)["train"]
        return lifted(tensors, part, is_shared, batch.get("key"))

    def validation_values(
        self, parameters: Parameters, data: dict[str, Any]
    ) -> Float[Tensor, "num_envs metrics"]:
        return self._values("validation", self.figures, parameters, data)

    def score_values(
        self, parameters: Parameters, data: dict[str, Any]
    ) -> Float[Tensor, "num_envs metrics"]:
        return self._values("test", self.scores, parameters, data)

    def _values(
        self, role: str, figures: Figures, parameters: Parameters, data: dict[str, Any]
    ) -> Float[Tensor, "num_envs metrics"]:
        tensors = _by_name(parameters)
        part = self._part(data, role, data["key"].device)
        columns = []
        for metric, function in figures:
            lifted = self._modules.lifted(label(metric.name, role), function, training=False)
            key = data["key"] if lifted.draws else None
            values, _ = lifted(tensors, part, self.source.is_shared, key)
            columns.append(values)
        return torch.stack(columns, dim=1)

    def _part(self, data: dict[str, Any], name: str, device: torch.device) -> Any:
        """A part of the data: (num_envs, …), or without that dimension where runs share it."""
        return self.source.shared_on(device)[name] if self.source.is_shared else data[name]

    @property
    def uncompilable(self) -> str:
        return self._modules.uncompilable()

    def remarks(self, split: Split) -> tuple[str, ...]:
        if not self.source.is_split:
            return ()
        return (
            "data: split at random into 60 % for training, 20 % for validation, 20 % for the test",
        )

    @functools.cached_property
    def _losses_draw(self) -> bool:
        return any(label(name) in self.drawing for name, _ in self.functions)

    @functools.cached_property
    def _modules(self) -> Modules:
        return Modules(self.factory, self.drawing, self.vectorize)


def label(name: str, role: str = "loss") -> str:
    """How errors call a function of the user's."""
    return f"{role} {name!r}"


def _by_name(parameters: Parameters) -> dict[str, Tensor]:
    """All parameters and buffers of the module by their full names."""
    tensors: dict[str, Tensor] = {}
    for part in parameters.values():
        tensors |= part
    return tensors


def _value(loss: Callable[..., Any], parameters: Parameters, batch: Any) -> Tensor:
    values: Tensor = loss(parameters, batch)[0]
    return values
