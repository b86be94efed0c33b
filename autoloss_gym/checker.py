"""`check_task`: does a custom task keep the promises that the environments rely on?"""

import dataclasses

import torch
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.loss import ClosedForm
from autoloss_gym.core.task import Control, Evaluation, Keys, State, Task
from autoloss_gym.tools import tree

_RUNS = 3
_STEPS = 3


def check_task(task: Task, device: str = "cpu") -> None:
    """Check shapes, declarations, independence of the runs and that what is not chosen stays still.

    Args:
        task: the task.
        device: where to check it.

    Raises:
        ValueError: one line that says which promise is broken and what to do.
    """
    _check_declarations(task)
    keys = _keys(device)
    state = task.reset(keys)
    if isinstance(task, GradientTask):
        _check_losses(task, state)
        _check_full_batch(task, state)
    _check_shapes(task, state)
    if isinstance(task, GradientTask):
        _check_closed_forms(task, state)
    _check_partial_reset(task, keys)
    _check_repeatability(task, keys)
    _check_only_chosen_blocks_move(task, keys)
    _check_runs_are_independent(task, keys)


def _keys(device: str) -> Keys:
    numbers = random.fold_in(torch.arange(_RUNS, device=device), "check_task")
    return Keys(problem=numbers, run=random.fold_in(numbers, "run"))


def _one_hot(task: Task, pair: int, runs: int, device: torch.device) -> Control:
    weights = torch.zeros(runs, len(task.pairs), device=device)
    weights[:, pair] = 1
    return Control(weights=weights, step_size=torch.ones(runs, device=device))


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _check_declarations(task: Task) -> None:
    _require(
        _is_hashable(task),
        f"{task!r} is not hashable: make every argument hashable, tuples instead of lists",
    )
    fields = {field.name for field in dataclasses.fields(task)}
    decorated = "__dataclass_params__" in vars(type(task))
    lost = sorted(fields & set(vars(type(task)))) if not decorated else []
    _require(
        not lost,
        f"{type(task).__name__} sets {', '.join(lost)} in vain: decorate it with @dataclass(frozen=True, kw_only=True)",
    )
    _require(len(task.pairs) > 0, "pairs is empty: declare at least one Pair")
    names = [pair.name for pair in task.pairs]
    _require(
        len(set(names)) == len(names), f"pairs share a name: {', '.join(names)}; give each its own"
    )
    _require(
        len(task.validation_metrics) > 0,
        "validation_metrics is empty: the first decides the best parameters",
    )
    _require(
        len(task.score_metrics) > 0, "score_metrics is empty: the first is the figure of merit"
    )
    for metric in task.score_metrics:
        finite = abs(metric.worst) < float("inf")
        _require(
            finite,
            f"score metric {metric.name!r} has worst={metric.worst}: give a finite worst value",
        )


def _is_hashable(task: Task) -> bool:
    try:
        hash(task)
    except TypeError:
        return False
    return True


def _check_losses(task: GradientTask, state: State) -> None:
    losses = task.losses()
    for pair in task.pairs:
        known = ", ".join(losses)
        _require(
            pair.loss in losses,
            f"pair {pair.name!r}: losses() has no {pair.loss!r}; it has {known}",
        )
        for block in pair.blocks:
            known = ", ".join(state.parameters)
            _require(
                block in state.parameters,
                f"pair {pair.name!r}: there is no block {block!r}; there are {known}",
            )


def _check_full_batch(task: GradientTask, state: State) -> None:
    batches = [
        tree.leaves(task.batch(state.data, random.fold_in(state.keys.run, step)))
        for step in range(2)
    ]
    same = all(map(torch.equal, *batches))
    _require(
        same or not task.full_batch,
        "full_batch is declared, but batch() depends on its keys: leave full_batch False",
    )


def _check_closed_forms(task: GradientTask, state: State) -> None:
    """Compare closed forms with automatic differentiation, in float64."""
    doubled = tree.map_tensors(
        lambda leaf: leaf.double() if leaf.is_floating_point() else leaf, state
    )
    parameters, batch = task.unpack(doubled.parameters), task.batch(doubled.data, state.keys.run)
    for pair in task.pairs:
        loss = task.losses()[pair.loss]
        if not isinstance(loss, ClosedForm):
            continue
        values, gradients = loss.value_and_gradient(parameters, batch)
        own = tree.clone({block: parameters[block] for block in pair.blocks})
        leaves = [leaf.requires_grad_() for leaf in tree.leaves(own)]
        expected = loss.loss({**parameters, **own}, batch)
        derived = torch.autograd.grad(expected.sum(), leaves, materialize_grads=True)
        written = tree.leaves({block: gradients[block] for block in pair.blocks})
        for first, second in ((values, expected), *zip(written, derived, strict=True)):
            close = first.shape == second.shape and torch.allclose(
                first, second, rtol=1e-9, atol=1e-12
            )
            _require(
                close,
                f"loss {pair.loss!r}: value_and_gradient differs from automatic differentiation of its loss",
            )


def _check_shapes(task: Task, state: State) -> None:
    pairs = (_RUNS, len(task.pairs))
    try:
        evaluation = task.measure(state)
    except RuntimeError as error:
        raise ValueError(
            f"observe() failed: {' '.join(str(error).split())}; does each loss use its blocks?"
        ) from error
    _check_tensor("the losses", evaluation.losses, pairs, "one value for each run and pair")
    _check_tensor(
        "the gradient norms",
        evaluation.gradient_norms,
        pairs,
        "a differentiable loss of its blocks",
    )
    for name, values, width in (
        ("validate()", task.validate(state), len(task.validation_metrics)),
        ("score()", task.score(state), len(task.score_metrics)),
        ("extra()", task.extra(state), None),
    ):
        width = values.shape[-1] if width is None else width
        _check_tensor(name, values, (_RUNS, width), "one column for each declared metric")


def _check_tensor(name: str, values: Tensor, shape: tuple[int, ...], meaning: str) -> None:
    _require(
        tuple(values.shape) == shape,
        f"{name}: got shape {tuple(values.shape)}, expected {shape}: {meaning}",
    )
    _require(
        bool(torch.isfinite(values).all()),
        f"{name}: not finite at the initial parameters; check data and scales",
    )


def _play(task: Task, keys: Keys) -> tuple[State, Evaluation]:
    """A few updates in which the runs choose different pairs."""
    state, runs = task.reset(keys), len(keys.run)
    for step in range(_STEPS):
        chosen = (keys.run + step) % len(task.pairs)
        weights = (chosen[:, None] == torch.arange(len(task.pairs), device=chosen.device)).to(
            torch.float32
        )
        control = Control(weights=weights, step_size=torch.ones(runs, device=chosen.device))
        state, evaluation = task.update(state, control)
    return state, evaluation


def _check_partial_reset(task: Task, keys: Keys) -> None:
    rows = torch.tensor([0], device=keys.run.device)
    try:
        tree.merge(task.reset(keys), rows, task.reset(tree.select(keys, rows)))
    except (RuntimeError, IndexError, TypeError) as error:
        detail = " ".join(str(error).split())
        raise ValueError(
            f"one run cannot be reset alone: the first dimension of all data must be the run ({detail})"
        ) from error


def _check_repeatability(task: Task, keys: Keys) -> None:
    state, again = task.reset(keys), task.reset(keys)
    played, replayed = _play(task, keys)[0], _play(task, keys)[0]
    for what, first, second in (
        ("data", state.data, again.data),
        ("parameters", played.parameters, replayed.parameters),
    ):
        same = all(map(torch.equal, tree.leaves(first), tree.leaves(second)))
        _require(
            same,
            f"the {what} of two equal runs differ: draw with autoloss_gym.random from the keys only",
        )


def _check_only_chosen_blocks_move(task: Task, keys: Keys) -> None:
    for index, pair in enumerate(task.pairs):
        state = task.reset(keys)
        before = tree.clone(state.parameters)
        state, _ = task.update(state, _one_hot(task, index, _RUNS, state.steps.device))
        for block, values in state.parameters.items():
            still = torch.equal(values, before[block])
            _require(
                still or block in pair.blocks,
                f"pair {pair.name!r} moved block {block!r}, which it does not declare",
            )
            _require(
                not still or block not in pair.blocks,
                f"pair {pair.name!r} did not move its block {block!r}: its loss has no gradient there",
            )


def _check_runs_are_independent(task: Task, keys: Keys) -> None:
    together, evaluation = _play(task, keys)
    for row in range(_RUNS):
        index = torch.tensor([row], device=keys.run.device)
        alone, alone_evaluation = _play(task, tree.select(keys, index))
        for block, values in alone.parameters.items():
            close = torch.allclose(values, together.parameters[block][index], rtol=1e-4, atol=1e-5)
            _require(
                close,
                f"block {block!r} of run {row} differs when it runs alone: losses must not mix the runs",
            )
        measured = evaluation.measured[index]
        same = torch.equal(alone_evaluation.measured, measured)
        _require(same, f"run {row} measures other losses alone than in a batch")
