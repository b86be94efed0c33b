"""The tensor programs of a step: eager, or each compiled when it is first used."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.core.task import State, Task
from autoloss_gym.environment import runs as steps
from autoloss_gym.environment.moves import Acted, Known, Moves
from autoloss_gym.environment.runs import Observations, Runs, mask_on, on_rows
from autoloss_gym.signals.description import RunDescription
from autoloss_gym.signals.features import Features
from autoloss_gym.signals.rewards import Reward
from autoloss_gym.tools.compiling import compiled

# Of a processor's caches: more runs at once are slower in a program that is compiled, which passes
# over all of them in each of its kernels.
_RUNS_AT_ONCE = 64


class Segment(NamedTuple):
    """What a segment with a validation at its end has brought.

    Args:
        rewards: of its validation, on the device.
        ended: runs that end, (num_envs,), bool, on the host.
        observed: what is then observed, where no run is put back.
        acted: what an actor did.
    """

    rewards: Float[Tensor, " num_envs"]
    ended: np.ndarray
    observed: Observations | None
    acted: Acted | None


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
        self._advance: Callable[..., tuple[Observations | None, Acted | None]] = choose(advance)
        self._validate: Callable[[Task, State], Tensor] = choose(validate)
        self._judge: Callable[..., tuple[Tensor, Tensor]] = choose(judge)
        self._whole: Callable[..., Any] = choose(whole)
        self.observe: Callable[[Task, Features, Runs], Observations] = choose(steps.observe)

    def __reduce__(self) -> Any:
        # What is compiled stays in its process.
        return Programs, (self._description, self._compile)

    def runs_at_once(self, updates: int, task: Task, device: torch.device) -> int | None:
        """Runs that are best played on their own for so many updates; None for all of them.

        To take runs apart and put them together again costs as much as some updates.
        """
        is_worth_it = self._compile and device.type == "cpu" and updates >= task.validate_every
        return _RUNS_AT_ONCE if is_worth_it else None

    def update(
        self,
        task: Task,
        runs: Runs,
        moves: Moves,
        repeat: int,
        features: Features,
        quiet: bool,
    ) -> tuple[Observations | None, Acted | None]:
        """Make `repeat` updates of all runs with each move.

        Returns:
            What is then observed, and what an actor did. No observations where the step is not
            `quiet`: what follows will change the runs, and a program that is not compiled does not
            compute what is not used.
        """
        moves = self._fitting(task, moves)
        # One program for all steps, whether observations are used or not.
        is_observed = quiet or self._compile
        observed, acted = self._advance(task, runs, moves, repeat, features, is_observed)
        return observed if quiet else None, acted

    def segment(
        self,
        task: Task,
        reward: Reward,
        runs: Runs,
        moves: Moves,
        repeat: int,
        features: Features,
        spent: np.ndarray,
    ) -> Segment:
        """`update`, `judge` and `observe` of runs that are all due for a validation.

        Where programs are compiled this is a single one; others observe what they need.
        """
        due = np.ones_like(spent)
        if not self._compile:
            _, acted = self.update(task, runs, moves, repeat, features, quiet=False)
            return Segment(*self.judge(task, reward, runs, due, spent), None, acted)
        moves = self._fitting(task, moves)
        device = runs.state.steps.device
        masks = (mask_on(mask, device) for mask in (due, spent))
        outcome = self._whole(
            task, self._description, reward, features, runs, moves, repeat, *masks
        )
        rewards, ended, observed, acted = outcome
        return Segment(rewards, _known(ended), observed, acted)

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
        return rewards, _known(ended)

    def _fitting(self, task: Task, moves: Moves) -> Moves:
        """The moves as the programs take them; ValueError where these cannot play them."""
        if isinstance(moves, Known):
            _check_reweighing(task, moves, self._compile)
        if not self._compile:
            return moves
        if task.uncompilable:
            raise ValueError(f"compile=True: {task.uncompilable}; use compile=False")
        return moves.on_device()


def advance(
    task: Task, runs: Runs, moves: Moves, repeat: int, features: Features, is_observed: bool
) -> tuple[Observations | None, Acted | None]:
    """Update all runs; return what is then observed, where that is wanted, and what was done."""
    acted = moves.play(task, runs, repeat, features)
    return steps.observe(task, features, runs) if is_observed else None, acted


def whole(
    task: Task,
    description: RunDescription,
    reward: Reward,
    features: Features,
    runs: Runs,
    moves: Moves,
    repeat: int,
    due: Bool[Tensor, " num_envs"],
    last: Bool[Tensor, " num_envs"],
) -> tuple[Tensor, Tensor, Observations, Acted | None]:
    """Update all runs, validate them, and observe them."""
    acted = moves.play(task, runs, repeat, features)
    values = task.validate(runs.state)
    rewards, ended = judge(task, description, reward, runs, values, due, last)
    return rewards, ended, steps.observe(task, features, runs), acted


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


def _check_reweighing(task: Task, moves: Known, compile: bool) -> None:
    """ValueError where weights are to follow from gradients that nobody hands on."""
    if all(control.reweigh is None for control in moves.controls):
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


def _known(ended: Bool[Tensor, " num_envs"]) -> np.ndarray:
    """The runs that end, on the host, which must know what to reset: the one wait of a validation
    for the device.
    """
    return ended.cpu().numpy()


def _as_it_is(program: Any) -> Any:
    return program
