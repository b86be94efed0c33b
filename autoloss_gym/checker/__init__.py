"""`check_task`: does a custom task keep the promises that the environments rely on?"""

import dataclasses
import math
from typing import Any

import torch
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.checker.closed_forms import check_closed_forms
from autoloss_gym.checker.modules import check_lifting, one_by_one
from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.modules.task import ModuleTask
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
        check_closed_forms(task, state)
    _check_partial_reset(task, keys)
    if isinstance(task, ModuleTask):
        check_lifting(task, keys)
        # Rounding may decide the sign of a step of Adam, as for a bias before a normalisation.
        task = one_by_one(task)
    _check_repeatability(task, keys)
    _check_only_chosen_blocks_move(task, keys)
    _check_runs_are_independent(task, keys)


def _keys(device: str) -> Keys:
    numbers = random.fold_in(torch.arange(_RUNS, dtype=torch.int64, device=device), "check_task")
    return Keys(problem=numbers, run=random.fold_in(numbers, "run"))


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _check_declarations(task: Task) -> None:
    try:
        hash(task)
    except TypeError as error:
        advice = "make every argument hashable, tuples instead of lists"
        raise ValueError(f"{task!r} is not hashable: {advice}") from error
    _check_decorator(task)

    names = [pair.name for pair in task.pairs]
    _require(len(names) > 0, "pairs is empty: declare at least one Pair")
    unique = len(set(names)) == len(names)
    _require(unique, f"pairs share a name: {', '.join(names)}; give each its own")
    grouped = [name for group in task.weight_groups for name in group]
    each_once = f"expected each of {', '.join(names)} once"
    _require(sorted(grouped) == sorted(names), f"weight_groups has {grouped}: {each_once}")

    _require(
        len(task.validation_metrics) > 0,
        "validation_metrics is empty: the first decides the best parameters",
    )
    _require(
        len(task.score_metrics) > 0,
        "score_metrics is empty: the first is the figure of merit",
    )
    for metric in task.score_metrics:
        _require(
            abs(metric.worst) < math.inf,
            f"score metric {metric.name!r} has worst={metric.worst}: give a finite worst value",
        )


def _check_decorator(task: Task) -> None:
    """Without the decorator, new defaults of a subclass do not reach its constructor."""
    own = vars(type(task))
    if "__dataclass_params__" in own:
        return
    lost = sorted(field.name for field in dataclasses.fields(task) if field.name in own)
    _require(
        not lost,
        f"{type(task).__name__} sets {', '.join(lost)} in vain: "
        "decorate it with @dataclass(frozen=True, kw_only=True)",
    )


def _check_losses(task: GradientTask, state: State) -> None:
    losses, blocks = task.losses(), state.parameters
    for pair in task.pairs:
        where = f"pair {pair.name!r}"
        known = ", ".join(losses)
        _require(pair.loss in losses, f"{where}: losses() has no {pair.loss!r}; it has {known}")
        known = ", ".join(blocks)
        for block in pair.blocks:
            _require(block in blocks, f"{where}: there is no block {block!r}; there are {known}")


def _check_full_batch(task: GradientTask, state: State) -> None:
    first = task.batch(state.data, random.fold_in(state.keys.run, 0))
    second = task.batch(state.data, random.fold_in(state.keys.run, 1))
    _require(
        _are_equal(first, second) or not task.full_batch,
        "full_batch is declared, but batch() depends on its keys: leave full_batch False",
    )


def _are_equal(first: Any, second: Any) -> bool:
    return all(map(torch.equal, tree.leaves(first), tree.leaves(second)))


def _check_shapes(task: Task, state: State) -> None:
    try:
        evaluation = task.measure(state)
    except RuntimeError as error:
        raise ValueError(
            f"the losses failed: {_in_one_line(error)}; does each loss use its blocks?"
        ) from error
    pairs = (_RUNS, len(task.pairs))
    norms = evaluation.gradient_norms
    _check_tensor("the losses", evaluation.losses, pairs, "one value for each run and pair")
    _check_tensor("the gradient norms", norms, pairs, "a differentiable loss of its blocks")

    text = "one column for each declared metric"
    _check_tensor("validate()", task.validate(state), (_RUNS, len(task.validation_metrics)), text)
    _check_tensor("score()", task.score(state), (_RUNS, len(task.score_metrics)), text)
    extra = task.extra(state)
    _check_tensor("extra()", extra, (_RUNS, extra.shape[-1]), "one row for each run")


def _check_tensor(name: str, values: Tensor, shape: tuple[int, ...], meaning: str) -> None:
    got = tuple(values.shape)
    _require(got == shape, f"{name}: got shape {got}, expected {shape}: {meaning}")
    _require(
        bool(torch.isfinite(values).all()),
        f"{name}: not finite at the initial parameters; check data and scales",
    )


def _control(task: Task, chosen: Tensor) -> Control:
    """The control under which each run optimises the pair of its number in `chosen`."""
    pairs = torch.arange(len(task.pairs), dtype=torch.int64, device=chosen.device)
    weights = (chosen[:, None] == pairs).to(torch.float32)
    return Control(weights=weights, step_size=torch.ones_like(weights[:, 0]))


def _play(task: Task, keys: Keys) -> tuple[State, Evaluation]:
    """A few updates in which the runs choose different pairs."""
    state = task.reset(keys)
    for step in range(_STEPS):
        chosen = (keys.run + step) % len(task.pairs)
        state, evaluation = task.update(state, _control(task, chosen))
    return state, evaluation


def _check_partial_reset(task: Task, keys: Keys) -> None:
    rows = torch.tensor([0], dtype=torch.int64, device=keys.run.device)
    try:
        tree.merge(task.reset(keys), rows, task.reset(tree.select(keys, rows)))
    except (RuntimeError, IndexError, TypeError) as error:
        raise ValueError(
            "one run cannot be reset alone: the first dimension of all data must be the run "
            f"({_in_one_line(error)})"
        ) from error


def _check_repeatability(task: Task, keys: Keys) -> None:
    advice = "draw with autoloss_gym.random from the keys only"
    same_data = _are_equal(task.reset(keys).data, task.reset(keys).data)
    _require(same_data, f"the data of two equal runs differ: {advice}")
    played, _ = _play(task, keys)
    replayed, _ = _play(task, keys)
    same_parameters = _are_equal(played.parameters, replayed.parameters)
    _require(same_parameters, f"the parameters of two equal runs differ: {advice}")


def _check_only_chosen_blocks_move(task: Task, keys: Keys) -> None:
    for index, pair in enumerate(task.pairs):
        who = f"pair {pair.name!r}"
        state = task.reset(keys)
        before = tree.clone(state.parameters)
        chosen = torch.full_like(state.steps, index)
        state, _ = task.update(state, _control(task, chosen))
        for block, values in state.parameters.items():
            still = torch.equal(values, before[block])
            declared = block in pair.blocks
            _require(still or declared, f"{who} moved block {block!r}, which it does not declare")
            _require(
                not (still and declared),
                f"{who} did not move its block {block!r}: its loss has no gradient there",
            )


def _check_runs_are_independent(task: Task, keys: Keys) -> None:
    together, evaluation = _play(task, keys)
    for row in range(_RUNS):
        index = torch.tensor([row], dtype=torch.int64, device=keys.run.device)
        alone, alone_evaluation = _play(task, tree.select(keys, index))
        # Close, not equal: a user's own operations need not have bits that the batch leaves alone.
        for block, values in alone.parameters.items():
            _require(
                torch.allclose(values, together.parameters[block][index], rtol=1e-4, atol=1e-5),
                f"block {block!r} of run {row} differs when it runs alone: "
                "losses must not mix the runs",
            )
        same = torch.equal(alone_evaluation.measured, evaluation.measured[index])
        _require(same, f"run {row} measures other losses alone than in a batch")
