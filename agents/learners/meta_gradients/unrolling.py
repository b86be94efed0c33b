"""Meta-gradients: how the outcome of a training run changes with its step size and loss weights."""

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import forward_ad

from autoloss_gym.core.state import Keys, State
from autoloss_gym.core.task import Task
from autoloss_gym.tools import tree

from .options import MetaGradientOptions
from .tuned import Tuned

# What an update changes and gradients flow through.
_CARRIED = ("parameters", "optimizer", "buffers")


@dataclass(frozen=True)
class MetaGradient:
    """What became of training runs, and how that changes with what is tuned.

    Args:
        values: the objective of every run.
        gradients: by every run's own numbers.
        diverged: runs that had stopped because a loss or gradient was not finite.
    """

    values: Float[Tensor, " num_envs"]
    gradients: Float[Tensor, "num_envs size"]
    diverged: Tensor


def meta_gradient(
    task: Task,
    keys: Keys,
    numbers: Float[Tensor, "num_envs size"],
    options: MetaGradientOptions,
) -> MetaGradient:
    """Train a run for each row of numbers, and differentiate its outcome by this row.

    Args:
        task: trained for `task.max_steps` updates; its losses have to be differentiable twice.
        keys: the runs.
        numbers: what is tuned, as `Tuned` has it.
        options: what is differentiated, and how.

    Raises:
        ValueError: the task has no objective, or it does not depend on what is tuned.
    """
    tuned = Tuned(options, len(task.pairs), task.max_steps)
    dtype = getattr(torch, options.precision)
    numbers = numbers.detach().to(keys.run.device, dtype)
    state = task.reset(keys)
    if dtype == torch.float64:
        state = _converted(state, dtype)
    differentiate = _forward if options.differentiation == "forward" else _backward
    values, gradients, state = differentiate(task, state, numbers, tuned)
    return MetaGradient(values.detach(), gradients, state.diverged)


def _backward(
    task: Task, state: State, numbers: Tensor, tuned: Tuned
) -> tuple[Tensor, Tensor, State]:
    """Back-propagation through all updates."""
    numbers = numbers.requires_grad_()
    with torch.enable_grad():
        for update in range(tuned.num_updates):
            control = tuned.control(numbers, update)
            state, _ = task.update(state, control, differentiable=True)
        values = _outcome(task, state, tuned.options)
        if not values.requires_grad:
            raise ValueError(_no_dependence(task, tuned.options))
        # Runs share nothing: the gradient of their sum holds each one's own.
        total = values.sum()
    return values, torch.autograd.grad(total, numbers)[0], state


def _forward(
    task: Task, state: State, numbers: Tensor, tuned: Tuned
) -> tuple[Tensor, Tensor, State]:
    """Tangents of the state by each number are carried along, one update after another.

    What an update multiplies a tangent with is of the size of that update, however long the run;
    a state that is normalised, such as a direction and the logarithm of a length, keeps its
    tangents in bounds too.
    """
    _load_forward_mode()
    carried = {name: getattr(state, name) for name in _CARRIED}
    tangents = [tree.map_tensors(torch.zeros_like, carried) for _ in range(tuned.size)]
    units = torch.eye(tuned.size, dtype=numbers.dtype, device=numbers.device)
    directions = [unit.expand_as(numbers).contiguous() for unit in units]
    with torch.enable_grad():
        for update in range(tuned.num_updates):
            pushed = [
                _pushed(task, state, tangent, numbers, direction, tuned, update)
                for tangent, direction in zip(tangents, directions, strict=True)
            ]
            state = pushed[0][0]
            tangents = [each for _, each in pushed]
        outcomes = [_pushed_outcome(task, state, each, tuned.options) for each in tangents]
    slopes = torch.stack([slope for _, slope in outcomes], dim=1)
    return outcomes[0][0], slopes, state


@functools.cache
def _load_forward_mode() -> None:
    """Have PyTorch load what its first tangent needs, by ways of which it has begun to warn."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.simplefilter("ignore", DeprecationWarning)
        number = torch.zeros(1, dtype=torch.float32, device="cpu")
        forward_ad.make_dual(number, number.clone())


def _pushed(
    task: Task,
    state: State,
    tangents: dict[str, Any],
    numbers: Tensor,
    direction: Tensor,
    tuned: Tuned,
    update: int,
) -> tuple[State, dict[str, Any]]:
    """State and tangents after one update."""
    # A level of its own for each update: a level keeps all tangents that were made in it.
    with forward_ad.dual_level():
        control = tuned.control(forward_ad.make_dual(numbers, direction), update)
        after, _ = task.update(_dual(state, tangents), control, differentiable=True)
        return _parts(after)


def _pushed_outcome(
    task: Task, state: State, tangents: dict[str, Any], options: MetaGradientOptions
) -> tuple[Tensor, Tensor]:
    """The objective of every run, and its derivative along the tangents."""
    with forward_ad.dual_level():
        value, slope = forward_ad.unpack_dual(_outcome(task, _dual(state, tangents), options))
        if slope is None:
            raise ValueError(_no_dependence(task, options))
        return value.detach(), slope.detach()


def _dual(state: State, tangents: dict[str, Any]) -> State:
    """The state with its tangents."""

    def join(leaf: Tensor, tangent: Tensor) -> Tensor:
        if not leaf.is_floating_point():
            return leaf
        # A leaf of the graph of one update, by which its losses are differentiated.
        return forward_ad.make_dual(leaf.detach().requires_grad_(), tangent)

    return _with(state, lambda name, part: tree.map_tensors(join, part, tangents[name]))


def _parts(state: State) -> tuple[State, dict[str, Any]]:
    """The state and its tangents apart, without the graph of the update."""

    def tangent(leaf: Tensor) -> Tensor:
        found = forward_ad.unpack_dual(leaf).tangent if leaf.is_floating_point() else None
        return torch.zeros_like(leaf) if found is None else found.detach()

    def primal(leaf: Tensor) -> Tensor:
        if not leaf.is_floating_point():
            return leaf
        return forward_ad.unpack_dual(leaf).primal.detach()

    tangents = {name: tree.map_tensors(tangent, getattr(state, name)) for name in _CARRIED}
    return _with(state, lambda _, part: tree.map_tensors(primal, part)), tangents


def _with(state: State, change: Callable[[str, Any], Any]) -> State:
    changed = {name: change(name, getattr(state, name)) for name in _CARRIED}
    return replace(state, **changed)


def _outcome(task: Task, state: State, options: MetaGradientOptions) -> Float[Tensor, " num_envs"]:
    """What the meta-gradient makes small."""
    if options.objective == "final":
        return task.objective(state, options.part)
    return task.log_root_objective(state, options.part)


def _converted(state: State, dtype: torch.dtype) -> State:
    def convert(leaf: Tensor) -> Tensor:
        return leaf.to(dtype) if leaf.is_floating_point() else leaf

    return tree.map_tensors(convert, state)


def _no_dependence(task: Task, options: MetaGradientOptions) -> str:
    return (
        f"the objective of {type(task).__name__} on its {options.part} data has no gradient by "
        "what is tuned: expected one that PyTorch can differentiate; try the other part"
    )
