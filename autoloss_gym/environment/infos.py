"""What `info` holds: dense arrays of plain numbers, one row a run."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.core.task import Metric, State, Task
from autoloss_gym.signals.history import History
from autoloss_gym.tools import tree


def running_infos(
    state: State, history: History, validated: np.ndarray
) -> dict[str, Tensor | np.ndarray]:
    """The latest known figures of every run.

    Returns:
        `losses`, `gradient_norms`, `losses_refreshed` (num_envs, pairs), `validation` (num_envs,
        metrics), `validation_refreshed`, `steps`, `instance` (num_envs,).
    """
    return {
        "losses": history.losses,
        "gradient_norms": history.gradient_norms,
        "losses_refreshed": history.losses_refreshed,
        "validation": history.validation,
        "validation_refreshed": validated,
        "steps": history.steps,
        "instance": state.keys.problem,
    }


def final_infos(
    task: Task, state: State, best: dict[str, Tensor], history: History, ended: np.ndarray
) -> dict[str, Tensor]:
    """The figures of merit of the runs that end here; the rows of the others mean nothing.

    Returns:
        `score` at the last step, `best_score` at the best validation, each score metric by its name
        (at the best validation), `best_validation`, `diverged` and `collapsed`, (num_envs,);
        `pair_shares`, (num_envs, pairs).
    """
    last_scores = _bounded_scores(task, state, ended)
    best_scores = _bounded_scores(task, replace(state, parameters=best), ended)
    figures = {"score": last_scores[:, 0], "best_score": best_scores[:, 0]}
    figures |= {metric.name: best_scores[:, i] for i, metric in enumerate(task.score_metrics)}
    figures |= {
        "best_validation": history.best,
        "diverged": state.diverged,
        "collapsed": history.collapsed,
    }
    return figures | {"pair_shares": history.pair_shares}


def on_rows(
    function: Callable[[State], Tensor], state: State, mask: np.ndarray
) -> Float[Tensor, "num_envs columns"]:
    """`function(state)` computed for the masked runs alone; the rows of the others are 0."""
    if mask.all():
        return function(state)
    rows = torch.from_numpy(np.flatnonzero(mask)).to(state.steps.device)
    values = function(tree.select(state, rows))
    return values.new_zeros(len(mask), values.shape[1]).index_copy(0, rows, values)


def _bounded_scores(
    task: Task, state: State, ended: np.ndarray
) -> Float[Tensor, "num_envs metrics"]:
    """Scores no worse than each metric's worst value, which stands for a run that diverged."""
    values = on_rows(task.score, state, ended)
    columns = [
        _bounded(values[:, i], metric, state.diverged)
        for i, metric in enumerate(task.score_metrics)
    ]
    return torch.stack(columns, dim=1)


def _bounded(values: Tensor, metric: Metric, diverged: Tensor) -> Tensor:
    bounded = values.clamp(max=metric.worst) if metric.minimize else values.clamp(min=metric.worst)
    return torch.where(diverged | ~torch.isfinite(bounded), metric.worst, bounded)
