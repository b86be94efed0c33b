"""A batch of runs, and the tensor programs of a step: they change the runs that they are given,
eagerly or compiled.
"""

import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.core.task import Control, Keys, State, Task
from autoloss_gym.signals.features import Features
from autoloss_gym.signals.history import History
from autoloss_gym.signals.rewards import Reward
from autoloss_gym.tools import tree


@dataclass
class Runs:
    """All that a reset of some runs replaces."""

    state: State
    history: History
    best: dict[str, Tensor]  # the parameters at the best validation so far


def start(task: Task, keys: Keys, memory: int) -> Runs:
    """New runs, measured once; one that is not finite from the start has diverged."""
    state = task.reset(keys)
    evaluation, validation = task.measure(state), task.validate(state)
    for values in (evaluation.losses, evaluation.gradient_norms, validation):
        state.diverged |= ~torch.isfinite(values).all(dim=1)
        values.nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)
    history = History.start(evaluation, validation, memory)
    return Runs(state=state, history=history, best=tree.clone(state.parameters))


Observations = tuple[Float[Tensor, "num_envs features"], Float[Tensor, " num_envs"] | None]


def update(
    task: Task, runs: Runs, control: Control, repeat: int, features: Features | None
) -> Observations | None:
    """`repeat` updates of all runs with the same control, and what is then observed, if it is asked
    for.
    """
    for _ in range(repeat):
        runs.state, evaluation = task.update(runs.state, control)
        runs.history.record_update(evaluation, control.weights)
        if task.collapse_repeats:
            runs.history.record_repeats(control.weights, task.collapse_repeats)
    return observe(task, features, runs) if features else None


def judge(
    task: Task,
    reward: Reward,
    runs: Runs,
    values: Float[Tensor, "num_envs metrics"],
    due: Bool[Tensor, " num_envs"],
    last: Bool[Tensor, " num_envs"],
) -> tuple[Float[Tensor, " num_envs"], Bool[Tensor, " num_envs"]]:
    """Take in the validation metrics of the runs that are `due`; `last` are those whose budget is
    spent.

    Returns:
        Rewards of this step, and the runs that end with it.
    """
    diverged = runs.state.diverged.logical_or_(due & ~torch.isfinite(values).all(dim=1))
    valid = due & ~diverged
    improved = runs.history.record_validation(values, valid, task.validation_metrics[0].minimize)
    runs.best = tree.where(improved, runs.state.parameters, runs.best)
    over = last | (runs.history.since_best >= task.patience) if task.patience else last
    if task.collapse_share:
        runs.history.collapsed = runs.history.collapsed | (valid & _fallen(task, runs.history))
    runs.history.collapsed = runs.history.collapsed & ~diverged
    over = over | runs.history.collapsed
    ended = due & (over | diverged)
    return reward(task, runs.history, valid, ended), ended


def _fallen(task: Task, history: History) -> Bool[Tensor, " num_envs"]:
    """Runs whose deciding metric has fallen too far behind its best."""
    worse, better = history.validation[:, 0], history.best
    if task.validation_metrics[0].minimize:
        worse, better = better, worse
    return worse < better * task.collapse_share


def observe(task: Task, features: Features, runs: Runs) -> Observations:
    """Observations, and where they are raw how many of each run's features were clipped."""
    return features(runs.history, task.extra(runs.state))


class Programs:
    """`update`, `validate`, `judge` and `observe`, as they are or each compiled at its first use."""

    def __init__(self, compile: bool) -> None:
        self.compile = compile
        choose: Callable[[Any], Any] = compiled if compile else lambda program: program
        self.update, self.judge, self.observe = choose(update), choose(judge), choose(observe)
        self.validate: Callable[[Task, State], Tensor] = choose(_validate)

    def __reduce__(self) -> Any:
        return Programs, (self.compile,)  # what is compiled stays in its process


def _validate(task: Task, state: State) -> Tensor:
    return task.validate(state)


def compiled(program: Any) -> Any:
    """`program` compiled for the shapes that it meets, with a code object of its own: PyTorch
    counts versions for each.
    """
    own = types.FunctionType(
        program.__code__.replace(),
        program.__globals__,
        program.__name__,
        closure=program.__closure__,
    )
    made = torch.compile(own, fullgraph=True, dynamic=False)

    def call(*arguments: Any) -> Any:
        try:
            return made(*arguments)
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            raise RuntimeError(
                f"compile=True: {program.__name__} could not be compiled ({reason}); use compile=False"
            ) from error

    return call
