"""The tensor programs of a step: eager, or each compiled when it is first used."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.core.task import Control, State, Task
from autoloss_gym.environment import runs as steps
from autoloss_gym.environment.runs import Observations, Runs, mask_on, on_rows
from autoloss_gym.signals.description import RunDescription
from autoloss_gym.signals.features import Features
from autoloss_gym.signals.rewards import Reward
from autoloss_gym.tools.compiling import compiled


class Programs:
    """What an environment has its device compute in a step.

    Args:
        description: of the runs.
        compile: whether PyTorch compiles the programs.
    """

    def __init__(self, description: RunDescription, compile: bool) -> None:
        self._description = description
        self._compile = compile
        choose: Callable[[Any], Any] = compiled if compile else _as_it_is
        self._advance: Callable[..., Observations | None] = choose(advance)
        self._validate: Callable[[Task, State], Tensor] = choose(validate)
        self._judge: Callable[..., tuple[Tensor, Tensor]] = choose(judge)
        self.observe: Callable[[Task, Features, Runs], Observations] = choose(steps.observe)

    def __reduce__(self) -> Any:
        # What is compiled stays in its process.
        return Programs, (self._description, self._compile)

    def update(
        self,
        task: Task,
        runs: Runs,
        controls: Sequence[Control],
        repeat: int,
        features: Features,
        quiet: bool,
    ) -> Observations | None:
        """Make `repeat` updates of all runs with each control; return what is then observed.

        None where the step is not `quiet`: what follows will change the runs, and a program that
        is not compiled does not compute what is not used.
        """
        _check_reweighing(task, controls, self._compile)
        if self._compile:
            if task.uncompilable:
                raise ValueError(f"compile=True: {task.uncompilable}; use compile=False")
            # One program for all steps: neither which runs chose what, nor whether observations are
            # used, may change it.
            controls = [replace(control, choice=None) for control in controls]
        wanted = features if quiet or self._compile else None
        observed = self._advance(task, runs, controls, repeat, wanted)
        return observed if quiet else None

    def judge(
        self, task: Task, reward: Reward, runs: Runs, due: np.ndarray, spent: np.ndarray
    ) -> tuple[Float[Tensor, " num_envs"], np.ndarray]:
        """Validate the runs that are `due`, (num_envs,), bool.

        Args:
            task: what is trained.
            reward: what the runs are paid.
            runs: all runs, after their update.
            due: runs that are validated.
            spent: runs whose budget is spent, (num_envs,), bool.

        Returns:
            Rewards on the device, and on the host the runs that end.
        """
        device = runs.state.steps.device
        values = on_rows(functools.partial(self._validate, task), runs.state, due)
        masks = (mask_on(mask, device) for mask in (due, spent))
        rewards, ended = self._judge(task, self._description, reward, runs, values, *masks)
        # The one wait for the device at a validation: the host must know what to reset.
        return rewards, ended.cpu().numpy()


def advance(
    task: Task, runs: Runs, controls: Sequence[Control], repeat: int, features: Features | None
) -> Observations | None:
    """Update all runs; return what is then observed, if features are given."""
    steps.update(task, runs, controls, repeat)
    return steps.observe(task, features, runs) if features else None


def validate(task: Task, state: State) -> Float[Tensor, "num_envs metrics"]:
    """Validation metrics."""
    return task.validate(state)


def judge(
    task: Task,
    description: RunDescription,
    reward: Reward,
    runs: Runs,
    values: Float[Tensor, "num_envs metrics"],
    due: Bool[Tensor, " num_envs"],
    last: Bool[Tensor, " num_envs"],
) -> tuple[Float[Tensor, " num_envs"], Bool[Tensor, " num_envs"]]:
    """Rewards of a step with a validation, and the runs that end with it."""
    valid = steps.record_validation(task, runs, values, due)
    ended = steps.ended(task, runs, due, last)
    return reward(description, runs.history, valid, ended), ended


def _check_reweighing(task: Task, controls: Sequence[Control], compile: bool) -> None:
    """ValueError where weights are to follow from gradients that nobody hands on."""
    if all(control.reweigh is None for control in controls):
        return
    if not task.can_reweigh:
        raise ValueError(
            f"Control(reweigh=…): {type(task).__name__} does not hand on the gradients of a step; "
            "give weights, or use a GradientTask"
        )
    if compile:
        raise ValueError(
            "compile=True: Control(reweigh=…) is a function of yours, within an update, that "
            "PyTorch does not compile; use compile=False"
        )


def _as_it_is(program: Any) -> Any:
    return program
