"""Training runs under a learned optimizer, and the meta-losses of their unrolls."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.differentiation import with_buffers
from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.loss import Buffered
from autoloss_gym.core.state import Keys, State
from autoloss_gym.core.task import Control
from autoloss_gym.optimizers import with_weights
from autoloss_gym.tools import tree

from .flatness import free_energy, hessian_norm
from .options import LearnedOptimizerOptions


class InnerRuns:
    """A batch of runs, `copies` of each problem, which begin new problems at different times.

    Args:
        task: with a learned optimizer.
        options: how long unrolls and runs are, and where losses are measured.
        num_problems: problems at a time.
        copies: runs of each problem, with the same draws: run p + num_problems · c is a copy of p.
        seed: decides the problems and all draws.
        device: where they run.
    """

    def __init__(
        self,
        task: GradientTask,
        options: LearnedOptimizerOptions,
        num_problems: int,
        copies: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self._task = task
        self._options = options
        self._num_problems = num_problems
        self._copies = copies
        self._control = _control(task, options, num_problems * copies, device)
        seeds = torch.full((num_problems,), seed, dtype=torch.int64, device=device)
        self._root = random.fold_in(seeds, "learned optimizer")
        # Runs begin at different updates, so that every unroll has runs of all ages in it.
        parts = options.horizon // options.unroll
        self.ages = [problem * parts // num_problems * options.unroll
                     for problem in range(num_problems)]  # fmt: skip
        self.episodes = [0] * num_problems
        self.state = task.reset(self._keys(list(range(num_problems))))
        self.first_losses = self._losses(self.state).detach()

    def keys(self, stream: str) -> Int64[Tensor, " problems"]:
        """A key for each problem, another for each of its episodes."""
        return random.fold_in(self._problem_keys(list(range(self._num_problems))), stream)

    def renew(self) -> None:
        """Begin a new problem where one has come to its end."""
        due = [p for p, age in enumerate(self.ages) if age >= self._options.horizon]
        if not due:
            return
        for problem in due:
            self.ages[problem] = 0
            self.episodes[problem] += 1
        places = [p + copy * self._num_problems for copy in range(self._copies) for p in due]
        rows = torch.tensor(places, dtype=torch.int64, device=self._root.device)
        fresh = self._task.reset(self._keys(due))
        self.state = tree.merge(self.state, rows, fresh)
        self.first_losses = self.first_losses.index_copy(0, rows, self._losses(fresh).detach())

    def unroll(
        self, weights: Float[Tensor, "num_envs weights"], differentiable: bool
    ) -> Float[Tensor, " num_envs"]:
        """Make the updates of an unroll; return the meta-loss of each run.

        Args:
            weights: of the learned optimizer of each run.
            differentiable: whether gradients flow to them.
        """
        state = self.state
        state = replace(state, optimizer=with_weights(state.optimizer, weights))
        with torch.set_grad_enabled(differentiable):
            total = torch.zeros_like(self.first_losses)
            for _ in range(self._options.unroll):
                state, _ = self._task.update(state, self._control, differentiable=differentiable)
                total = total + self._capped(self._losses(state))
            total = total / self._options.unroll
            if self._options.flatness is not None and self._options.flatness_weight:
                penalty = torch.nan_to_num(self._flatness(state), 0.0, 0.0, 0.0)
                total = total + self._options.flatness_weight * penalty
        self.state = tree.map_tensors(Tensor.detach, state)
        self.ages = [age + self._options.unroll for age in self.ages]
        return total

    def _capped(self, losses: Float[Tensor, " num_envs"]) -> Float[Tensor, " num_envs"]:
        """Losses of at most a multiple of the first; one that is no number is the worst."""
        most = self.first_losses.abs() * self._options.loss_cap
        counts = losses < most  # not where it is NaN
        return torch.where(counts, torch.where(counts, losses, 0.0), most)

    def _losses(self, state: State) -> Float[Tensor, " num_envs"]:
        """The meta-loss at the parameters of each run, on a mini-batch that no update sees."""
        return self._loss_at(state)(state.parameters)

    def _loss_at(self, state: State) -> Callable[[dict[str, Tensor]], Tensor]:
        """The loss as a function of the packed parameters, on one mini-batch for each run."""
        task = self._task
        part = "training" if self._options.meta == "train" else "validation"
        stream = random.fold_in(state.keys.run, "meta-loss")
        data = _data_of(state.data, part)
        if data is None:
            return lambda packed: task.objective(replace(state, parameters=packed), "validation")
        batch = task.batch(data, random.fold_in(stream, state.steps))
        weights = self._control.weights[0].tolist()

        def loss(packed: dict[str, Tensor]) -> Tensor:
            parameters = with_buffers(task.unpack(packed), state.buffers)
            total = torch.zeros_like(state.steps, dtype=torch.float32)
            for pair, weight in zip(task.pairs, weights, strict=True):
                if weight:
                    function = task.losses()[pair.loss]
                    values = function(parameters, batch)
                    if isinstance(function, Buffered):
                        values = values[0]
                    total = total + weight * values
            return total

        return loss

    def _flatness(self, state: State) -> Float[Tensor, " num_envs"]:
        """The penalty at the parameters of each run."""
        options = self._options
        keys = random.fold_in(random.fold_in(state.keys.run, "flatness"), state.steps)
        names = list(state.parameters)
        widths = [block.shape[1] for block in state.parameters.values()]
        point = torch.cat(list(state.parameters.values()), dim=1)
        loss_of_blocks = self._loss_at(state)

        def loss(row: Tensor) -> Tensor:
            return loss_of_blocks(dict(zip(names, row.split(widths, dim=1), strict=True)))

        if options.flatness == "hessian":
            return hessian_norm(loss, point, keys, options.flatness_draws)
        return free_energy(loss, point, keys, options.flatness_draws, options.flatness_radius)

    def _problem_keys(self, problems: list[int]) -> Int64[Tensor, " problems"]:
        numbers = [self.episodes[p] * self._num_problems + p for p in problems]
        drawn = torch.tensor(numbers, dtype=torch.int64, device=self._root.device)
        return random.fold_in(self._root[: len(problems)], drawn)

    def _keys(self, problems: list[int]) -> Keys:
        """Keys of all copies of the problems."""
        keys = self._problem_keys(problems).repeat(self._copies)
        return Keys(problem=keys, run=random.fold_in(keys, "run"), split="train")


def _data_of(data: Any, part: str) -> Any:
    """The data of a task with one part in the place of the training part; None if it has none."""
    if part == "training":
        return data
    if not (isinstance(data, dict) and "training" in data and part in data):
        return None
    return {**data, "training": data[part]}


def _control(
    task: GradientTask, options: LearnedOptimizerOptions, num_envs: int, device: torch.device
) -> Control:
    count = len(task.pairs)
    weights = options.loss_weights or (1.0,) * count
    if len(weights) != count:
        names = ", ".join(pair.name for pair in task.pairs)
        raise ValueError(f"loss_weights={list(weights)}: expected {count} numbers, for {names}")
    assert all(map(math.isfinite, weights))
    row = torch.tensor([weights], dtype=torch.float32, device=device)
    return Control(
        weights=row.repeat(num_envs, 1),
        step_size=torch.ones(num_envs, dtype=torch.float32, device=device),
    )
