"""Tasks whose author writes data, parameters and one function for each loss."""

import functools
import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.blocks import pack, sizes, view
from autoloss_gym.core.chunks import by_chunks
from autoloss_gym.core.combination import combined
from autoloss_gym.core.control import Factors
from autoloss_gym.core.differentiation import Differentiator, Gradients, with_buffers
from autoloss_gym.core.draws import DrawsAhead
from autoloss_gym.core.kernel_traces import KernelTraces
from autoloss_gym.core.loss import Buffers, Loss
from autoloss_gym.core.state import Keys, State
from autoloss_gym.core.step_gradients import StepGradients, reweighed
from autoloss_gym.core.task import Control, Evaluation, Part, Task
from autoloss_gym.optimizers import Adam, Optimizer
from autoloss_gym.tools import tree
from autoloss_gym.tools.bounds import NonNegativeFloat, PositiveFloatRange
from autoloss_gym.tools.tree import Parameters


@dataclass(frozen=True, kw_only=True)
class GradientTask(Task):
    """A task given by differentiable losses, each updated by one optimizer that all losses of a
    block share.

    The functions of the author work on whole batches: the first dimension of every tensor is the
    run, and runs share nothing. `parameters[block]` has the shape that `initial_parameters` gave
    it.

    Args:
        optimizer: takes the steps of every block.
        learning_rate_factor: factor on the learning rate of which nobody is told; or a range (low,
            high), from which each problem draws its own, log-uniformly.
        clip_norm: greatest norm of the gradient of a run's step, over all its blocks together; 0
            for any.
    """

    # True where `batch` ignores its keys: they are then not hashed anew for each step.
    full_batch: ClassVar[bool] = False
    can_reweigh: ClassVar[bool] = True
    # Runs that are computed together on the CPU: more would leave its caches.
    runs_at_once: ClassVar[int] = 64

    optimizer: Optimizer = field(default_factory=lambda: Adam(learning_rate=1e-3))
    learning_rate_factor: PositiveFloatRange = 1.0
    clip_norm: NonNegativeFloat = 0.0

    @abstractmethod
    def make_data(self, keys: Keys) -> Any:
        """The data of each run, a tree of tensors (num_envs, …), drawn from `keys.problem`."""

    @abstractmethod
    def initial_parameters(self, keys: Keys) -> dict[str, Any]:
        """Blocks by name, each a tensor (num_envs, …) or a dict of such tensors, drawn from
        `keys.run`.
        """

    def initial_buffers(self, keys: Keys) -> Buffers:
        """What else belongs to each model, by name, each (num_envs, …); none by default.

        `Buffered` losses change them. The functions below find them in `parameters["buffers"]`.
        """
        return {}

    @abstractmethod
    def batch(self, data: Any, keys: Int64[Tensor, " num_envs"]) -> Any:
        """What the losses of one step see: the data itself, or a mini-batch drawn with the keys of
        this step.

        Where `full_batch`, the keys are the same at every step.
        """

    @abstractmethod
    def losses(self) -> Mapping[str, Loss]:
        """Every loss by name: functions (parameters, batch) → (num_envs,), valid for any subset of
        the runs.

        One whose gradient is known in closed form may be a `ClosedForm`.
        """

    @abstractmethod
    def validation_values(
        self, parameters: Parameters, data: Any
    ) -> Float[Tensor, "num_envs metrics"]:
        """The columns that `validation_metrics` names."""

    @abstractmethod
    def score_values(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs metrics"]:
        """The columns that `score_metrics` names."""

    def residuals(
        self, parameters: Parameters, batch: Any
    ) -> Mapping[str, Float[Tensor, "num_envs points"]]:
        """Of every loss by name, what it is a mean of squares of: a number for each of its points.

        Only rules that weigh by neural tangent kernels ask for them.
        """
        raise ValueError(
            f"{type(self).__name__} gives no residuals: write residuals(parameters, batch)"
        )

    def reset(self, keys: Keys) -> State:
        blocks = self.initial_parameters(keys)
        packed = {name: pack(block) for name, block in blocks.items()}
        # Data that are expanded over the runs could not be replaced run by run.
        data = tree.map_tensors(Tensor.contiguous, self.make_data(keys))
        return State(
            keys=keys,
            data=data,
            parameters=packed,
            optimizer={name: self._optimizers[name].init(block) for name, block in packed.items()},
            steps=torch.zeros_like(keys.run),
            diverged=torch.zeros_like(keys.run, dtype=torch.bool),
            learning_rate_factor=self._drawn_factor(keys.problem),
            buffers=dict(self.initial_buffers(keys)),
        )

    def measure(self, state: State) -> Evaluation:
        return self._measured(state)[0]

    def gradients(self, state: State) -> tuple[dict[str, Float[Tensor, "num_envs _"]], ...]:
        _, found, _ = self._measured(state)
        by_pair = []
        for index, pair in enumerate(self.pairs):
            by_pair.append({block: found[index, block].values for block in pair.blocks})
        return tuple(by_pair)

    def _measured(self, state: State) -> tuple[Evaluation, Gradients, Buffers]:
        """Every loss, norm and gradient of all runs, and what the losses make of the buffers."""
        shape = (len(state.steps), len(self.pairs))
        everything = torch.ones(shape, dtype=torch.bool, device=state.steps.device)
        return self._differentiator.measure(
            state.parameters,
            self._batch(state),
            everything,
            range(len(self.pairs)),
            differentiable=False,
            buffers=state.buffers,
        )

    def update(
        self, state: State, control: Control, *, differentiable: bool = False
    ) -> tuple[State, Evaluation]:
        used = control.weights != 0
        indices = range(len(self.pairs)) if control.choice is None else _chosen(control.choice)
        batch = self._batch(state)
        evaluation, gradients, buffers = self._differentiator.measure(
            state.parameters, batch, used, indices, differentiable, state.buffers
        )
        if differentiable:
            state = state.apart()

        # A run that is not finite takes no step, neither this one nor any later.
        largest = torch.maximum(evaluation.losses.abs(), evaluation.gradient_norms)
        evaluation.measured = used & (largest < math.inf)
        state.diverged |= (used != evaluation.measured).any(dim=1)

        if state.buffers:
            state.buffers = tree.where(state.diverged, state.buffers, dict(buffers))
        moving = used & ~state.diverged[:, None]
        step_size = control.step_size
        if state.learning_rate_factor is not None:
            step_size = step_size * state.learning_rate_factor
        weights = None if control.choice is not None else Factors(control.weights, control.weights)
        if control.reweigh is not None and gradients:
            inputs = (state.parameters, batch, state.buffers)
            traces = KernelTraces(self.pairs, self.residuals, self.unpack, inputs)
            measured = StepGradients.of_all(self.pairs, evaluation, moving, gradients, traces)
            weights, failed = reweighed(control, measured)
            state.diverged |= failed
            moving = moving & ~failed[:, None]
        with torch.set_grad_enabled(differentiable):
            steps = combined(
                state.parameters, self.pairs, gradients, weights, moving, self.clip_norm
            )
            for block, (gradient, active) in steps.items():
                parameters, moments = state.parameters[block], state.optimizer[block]
                optimizer = self._optimizers[block]
                optimizer.update(parameters, gradient, moments, active, step_size)
        state.steps += 1
        return state, evaluation

    def validate(self, state: State) -> Float[Tensor, "num_envs metrics"]:
        width = len(self.validation_metrics)
        inputs = (self.unpack, state, self.runs_at_once, width)
        return by_chunks("validation_values()", self.validation_values, *inputs)

    def score(self, state: State) -> Float[Tensor, "num_envs metrics"]:
        width = len(self.score_metrics)
        inputs = (self.unpack, state, self.runs_at_once, width)
        return by_chunks("score_values()", self.score_values, *inputs)

    def objective(self, state: State, part: Part = "train") -> Float[Tensor, " num_envs"]:
        parameters = with_buffers(self.unpack(state.parameters), state.buffers)
        if part == "train":
            return self._differentiator.value(self.pairs[0], parameters, self._batch(state))
        values = self.validation_values(parameters, state.data)
        for index, metric in enumerate(self.validation_metrics):
            if metric.minimize:
                return values[:, index]
        return -values[:, 0]

    def extra(self, state: State) -> Float[Tensor, "num_envs 0"]:
        return torch.zeros(len(state.steps), 0, dtype=torch.float32, device=state.steps.device)

    def unpack(self, packed: Mapping[str, Float[Tensor, "num_envs _"]]) -> Parameters:
        """Views of packed blocks in the shapes that `initial_parameters` gave them."""
        return {name: view(block, self._shapes[name]) for name, block in packed.items()}

    def _drawn_factor(self, keys: Int64[Tensor, " num_envs"]) -> Float[Tensor, " num_envs"] | None:
        if self.learning_rate_factor == 1:
            return None
        stream = random.fold_in(keys, "learning rate factor")
        return random.ranged(stream, self.learning_rate_factor, logarithmic=True)

    def __getstate__(self) -> dict[str, Any]:
        # The rest is derived from them, and anew in another process: a loss may not be picklable.
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @functools.cached_property
    def _differentiator(self) -> Differentiator:
        return Differentiator(self.pairs, self.losses(), self.unpack, self.runs_at_once)

    @functools.cached_property
    def _optimizers(self) -> dict[str, Optimizer]:
        """The optimizer of each block, which may have to know the tensors in it."""
        return {name: self.optimizer.on(sizes(shape)) for name, shape in self._shapes.items()}

    @functools.cached_property
    def _shapes(self) -> Mapping[str, Any]:
        """Shape of every block of one run; a dict of shapes where the block is a dict."""
        zero = torch.zeros(1, dtype=torch.int64, device="cpu")
        blocks = self.initial_parameters(Keys(problem=zero, run=zero))
        return tree.map_tensors(lambda leaf: leaf.shape[1:], blocks)

    def _batch(self, state: State) -> Any:
        keys, data = state.keys.run, state.data
        if isinstance(self, DrawsAhead):
            draws = state.ahead.of(keys, state.steps, functools.partial(self.draws, data))
            return self.batch_of(data, draws)
        return self.batch(data, keys if self.full_batch else random.fold_in(keys, state.steps))


def _chosen(choice: np.ndarray) -> list[int]:
    """The pairs that some run chose, in order."""
    return np.flatnonzero(np.bincount(choice)).tolist()
