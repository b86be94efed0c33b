"""What an environment says of its runs: observations, and infos of plain numbers, one row a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.core.state import Model, State
from autoloss_gym.core.task import Metric, Task
from autoloss_gym.environment.programs import Programs
from autoloss_gym.environment.runs import Observations, Runs, mask_on, on_rows
from autoloss_gym.signals.features import Features
from autoloss_gym.signals.history import History


@dataclass(frozen=True)
class Reporter:
    """Makes observations and infos of runs.

    Args:
        task: what is trained.
        features: what is observed.
        programs: what computes the features.
        array: "numpy", or "torch" for tensors on the device.
        device: where the runs are.
        mode: when a run that has ended is reset.
    """

    task: Task
    features: Features
    programs: Programs
    array: str
    device: torch.device
    mode: AutoresetMode

    def space(self, runs: Runs) -> spaces.Box:
        """The space of one run's observation."""
        observations, _ = self.programs.observe(self.task, self.features, runs)
        bound = self.features.bound()
        return spaces.Box(-bound, bound, (observations.shape[1],), np.float32)

    def report(
        self, runs: Runs, refreshed: np.ndarray, observed: Observations | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Observations and infos of all runs.

        Args:
            runs: as they are now.
            refreshed: runs whose validation is new, (num_envs,), bool.
            observed: their features, where they are known already.
        """
        if observed is None:
            observed = self.programs.observe(self.task, self.features, runs)
        observations, clipped = observed
        values = running_infos(runs.state, runs.history, refreshed)
        if clipped is not None:
            values["clipped"] = clipped
        return self.output(observations), self.all_of(values)

    def final(self, runs: Runs, refreshed: np.ndarray, ended: np.ndarray) -> dict[str, Any]:
        """The figures of merit of the runs that have ended; nothing where none has.

        They stand where Gymnasium's `SyncVectorEnv` has them: beside the other infos, or where the
        next episode takes the place of the last one, in `final_info` beside `final_obs`.
        """
        if not np.count_nonzero(ended):
            return {}
        values = final_infos(self.task, runs.state, runs.best, runs.history, ended)
        figures = {name: self.output(each) for name, each in values.items()}
        if self.mode != AutoresetMode.SAME_STEP:
            return self._masked(figures, ended)
        observations, info = self.report(runs, refreshed)
        final_info = self._masked(info | figures, ended)
        return self._masked({"final_obs": observations, "final_info": final_info}, ended)

    def diagnostics(self, state: State) -> dict[str, Any]:
        """All losses, gradient norms and validation metrics, measured anew."""
        evaluation = self.task.measure(state)
        measured = {
            "fresh_losses": evaluation.losses,
            "fresh_gradient_norms": evaluation.gradient_norms,
            "fresh_validation": self.task.validate(state),
        }
        return self.all_of(measured)

    def all_of(self, values: Mapping[str, Tensor | np.ndarray]) -> dict[str, Any]:
        """The output of each."""
        return {name: self.output(value) for name, value in values.items()}

    def output(self, values: Tensor | np.ndarray) -> Any:
        """A copy for the caller, who may keep it, of a tensor or of a mask of runs."""
        if self.array == "torch":
            if isinstance(values, Tensor):
                return values.clone()
            return mask_on(values, self.device)
        if isinstance(values, np.ndarray):
            return values.copy()
        return values.cpu().numpy().copy()

    def _masked(self, values: dict[str, Any], mask: np.ndarray) -> dict[str, Any]:
        """`values` and, as Gymnasium marks the rows that mean something, the mask of each."""
        return values | {f"_{name}": self.output(mask) for name in values}


def of_run(infos: Mapping[str, Any], row: int) -> dict[str, Any]:
    """The values of one run: arrays where they have a dimension of their own, else numbers."""
    values = {name: each[row] for name, each in infos.items() if not name.startswith("_")}
    return {name: each if each.ndim else each.item() for name, each in values.items()}


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
    task: Task, state: State, best: Model, history: History, ended: np.ndarray
) -> dict[str, Tensor]:
    """The figures of merit of the runs that end here; the rows of the others mean nothing.

    Returns:
        `score` at the last step, `best_score` at the best validation, each score metric by its name
        (at the best validation), `best_validation`, `diverged` and `collapsed`, (num_envs,);
        `pair_shares`, (num_envs, pairs).
    """
    last_scores = _bounded_scores(task, state, ended)
    best_scores = _bounded_scores(task, state.with_model(best), ended)
    named_scores = zip(task.score_metrics, best_scores.unbind(dim=1), strict=True)
    return {
        "score": last_scores[:, 0],
        "best_score": best_scores[:, 0],
        **{metric.name: values for metric, values in named_scores},
        "best_validation": history.best,
        "diverged": state.diverged,
        "collapsed": history.collapsed,
        "pair_shares": history.pair_shares,
    }


def _bounded_scores(
    task: Task, state: State, ended: np.ndarray
) -> Float[Tensor, "num_envs metrics"]:
    """Scores no worse than each metric's worst value, which stands for a run that diverged."""
    values = on_rows(task.score, state, ended)
    columns = []
    for metric, column in zip(task.score_metrics, values.unbind(dim=1), strict=True):
        columns.append(_bounded(column, metric, state.diverged))
    return torch.stack(columns, dim=1)


def _bounded(values: Tensor, metric: Metric, diverged: Tensor) -> Tensor:
    if metric.minimize:
        bounded = values.clamp(max=metric.worst)
    else:
        bounded = values.clamp(min=metric.worst)
    return torch.where(diverged | ~torch.isfinite(bounded), metric.worst, bounded)
