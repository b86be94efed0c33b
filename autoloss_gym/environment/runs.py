"""A batch of training runs, and what a step does with them: every function changes its `runs`."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.core.state import Keys, Model, State
from autoloss_gym.core.task import Control, Evaluation, Task
from autoloss_gym.signals.description import RunDescription
from autoloss_gym.signals.features import Features
from autoloss_gym.signals.groups import Signals
from autoloss_gym.signals.history import History
from autoloss_gym.tools import tree
from autoloss_gym.tools.memory import within_memory

# Each pair's gradient, its blocks by name.
Gradients = tuple[dict[str, Float[Tensor, "num_envs _"]], ...]
# Features, and where these are clipped how many of each run's were clipped.
Observations = tuple[Float[Tensor, "num_envs features"], Float[Tensor, " num_envs"] | None]


@dataclass
class Runs:
    """All that a reset of some runs replaces.

    Args:
        state: what the task needs to go on.
        history: what is known of the runs so far.
        best: parameters and buffers at the best validation so far.
        shift: of a schedule that is held, as the last decision has set it, within [-1, 1]; without
            columns where no schedule is.
        gradients: of each pair, for the "next" and the "last" update, as far as they are observed.
    """

    state: State
    history: History
    best: Model
    shift: Float[Tensor, "num_envs entries"]
    gradients: dict[str, Gradients] = field(default_factory=dict)


def describe(task: Task) -> RunDescription:
    """What controllers know of the runs of a task."""
    return RunDescription(
        pairs=tuple(pair.name for pair in task.pairs),
        validation_metrics=task.validation_metrics,
        max_steps=task.max_steps,
        validate_every=task.validate_every,
        patience=task.patience,
        blocks=tuple(pair.blocks for pair in task.pairs),
    )


def start(
    task: Task, keys: Keys, memory: int, shift_size: int = 0, gradients: Sequence[str] = ()
) -> Runs:
    """New runs, measured once.

    One that is not finite from the start has diverged: its metrics are the worst declared.
    """
    with within_memory(f"{len(keys.run)} runs of {type(task).__name__}"):
        state = task.reset(keys)
        evaluation = task.measure(state)
        validation = task.validate(state)
        _mark_broken(task, state, evaluation, validation)
        history = History.start(evaluation, validation, memory)
        shape = (len(keys.run), shift_size)
        shift = torch.zeros(shape, dtype=torch.float32, device=state.steps.device)
        best = tree.clone(state.model)
        observed = {name: _gradients(task, state) for name in gradients}
        return Runs(state=state, history=history, best=best, shift=shift, gradients=observed)


def _mark_broken(
    task: Task, state: State, evaluation: Evaluation, validation: Float[Tensor, "num_envs metrics"]
) -> None:
    """Note which runs are not finite, and put finite figures in place of theirs."""
    for values in (evaluation.losses, evaluation.gradient_norms, validation):
        state.diverged |= ~torch.isfinite(values).all(dim=1)
    for values in (evaluation.losses, evaluation.gradient_norms):
        values.nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)
    for column, metric in zip(validation.unbind(dim=1), task.validation_metrics, strict=True):
        worst = metric.worst if math.isfinite(metric.worst) else 0.0
        column.nan_to_num_(nan=worst, posinf=worst, neginf=worst)


def replaced(runs: Runs, rows: np.ndarray, fresh: Runs) -> Runs:
    """`runs` with those at `rows` (indices) replaced by `fresh` ones, in order."""
    if len(rows) == len(runs.state.steps):
        return fresh
    return tree.merge(runs, torch.from_numpy(rows).to(runs.state.steps.device), fresh)


def update(task: Task, runs: Runs, controls: Sequence[Control], repeat: int) -> None:
    """Make `repeat` updates of all runs with each of the controls."""
    updates = [control for control in controls for _ in range(repeat)]
    gradients = runs.gradients
    for left, control in zip(reversed(range(len(updates))), updates, strict=True):
        if "last" in gradients and not left:
            # Those of the next update are known from the step before, but for several updates.
            last = gradients["next"] if len(updates) == 1 else _gradients(task, runs.state)
            gradients["last"] = last
        runs.state, evaluation = task.update(runs.state, control)
        runs.history.record_update(evaluation, control.weights, control.step_size)
        if task.collapse_repeats:
            runs.history.record_repeats(control.weights, task.collapse_repeats)
    if gradients:
        gradients["next"] = _gradients(task, runs.state)


def _gradients(task: Task, state: State) -> Gradients:
    """Each pair's gradient; copies, because one may be a view of another or of a single number."""
    with torch.no_grad():
        return tree.clone(task.gradients(state))


def record_validation(
    task: Task,
    runs: Runs,
    values: Float[Tensor, "num_envs metrics"],
    due: Bool[Tensor, " num_envs"],
) -> Bool[Tensor, " num_envs"]:
    """Take in validation metrics of the runs that are `due`.

    Returns:
        The runs whose metrics are new; those of runs that have diverged are not looked at.
    """
    state, history = runs.state, runs.history
    state.diverged.logical_or_(due & ~torch.isfinite(values).all(dim=1))
    valid = due & ~state.diverged
    improved = history.record_validation(values, valid, task.validation_metrics[0].minimize)
    runs.best = tree.where(improved, state.model, runs.best)
    if task.collapse_share:
        history.collapsed = history.collapsed | (valid & _fallen(task, history))
    collapsed = task.collapsed(state)
    if collapsed is not None:
        history.collapsed = history.collapsed | (valid & collapsed)
    history.collapsed = history.collapsed & ~state.diverged
    return valid


def ended(
    task: Task, runs: Runs, due: Bool[Tensor, " num_envs"], last: Bool[Tensor, " num_envs"]
) -> Bool[Tensor, " num_envs"]:
    """The runs that end with this step.

    Args:
        task: its patience may end a run before its budget is spent.
        runs: as they are after this step.
        due: runs that this step has validated: no other ends.
        last: runs whose budget is spent.
    """
    over = last | runs.history.collapsed | runs.state.diverged
    if task.patience:
        over = over | (runs.history.since_best >= task.patience)
    return due & over


def observe(task: Task, features: Features, runs: Runs) -> Observations:
    """What a controller sees of all runs."""
    signals = Signals(
        history=runs.history,
        extra=task.extra(runs.state),
        parameters=runs.state.parameters,
        gradients=runs.gradients,
        shift=runs.shift,
    )
    return features(signals)


def on_rows(
    function: Callable[[State], Tensor], state: State, mask: np.ndarray
) -> Float[Tensor, "num_envs columns"]:
    """`function(state)` computed for the masked runs alone; the rows of the others are 0."""
    if mask.all():
        return function(state)
    rows = torch.from_numpy(np.flatnonzero(mask)).to(state.steps.device)
    values = function(tree.select(state, rows))
    return values.new_zeros(len(mask), values.shape[1]).index_copy(0, rows, values)


def mask_on(mask: np.ndarray, device: torch.device) -> Bool[Tensor, " num_envs"]:
    """A copy of a mask of runs on the device.

    One that is the same for all runs is made there: to send it would make the host wait.
    """
    count = np.count_nonzero(mask)
    if count in (0, len(mask)):
        return torch.full(mask.shape, bool(count), dtype=torch.bool, device=device)
    return torch.from_numpy(mask.copy()).to(device)


def _fallen(task: Task, history: History) -> Bool[Tensor, " num_envs"]:
    """Runs whose deciding metric has fallen too far behind its best."""
    latest, best = history.validation[:, 0], history.best
    if task.validation_metrics[0].minimize:
        return best < latest * task.collapse_share
    return latest < best * task.collapse_share
