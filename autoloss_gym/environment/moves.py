"""What the updates of a segment follow from: controls that are known, or an actor that decides."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.controls import idle
from autoloss_gym.core.task import Control, Task
from autoloss_gym.environment import runs as steps
from autoloss_gym.environment.runs import Runs
from autoloss_gym.signals.features import Features

# From observations (num_envs, features) and what a step draws to actions (num_envs, …).
Actor = Callable[[Tensor, Any], Tensor]


class Acted(NamedTuple):
    """What an actor saw and did at each step: (num_envs, features), float32, and (num_envs, …)."""

    observations: tuple[Float[Tensor, "num_envs features"], ...]
    actions: tuple[Tensor, ...]


@dataclass(frozen=True)
class Known:
    """Controls for all runs, one after another."""

    controls: Sequence[Control]

    def __len__(self) -> int:
        return len(self.controls)

    def at_rest(self, mask: Bool[Tensor, " num_envs"]) -> "Known":
        """The same with nothing to do for the masked runs."""
        return Known([idle(control, mask) for control in self.controls])

    def on_device(self) -> "Known":
        """The same without what the host knows of it."""
        return Known([replace(control, choice=None) for control in self.controls])

    def play(self, task: Task, runs: Runs, repeat: int, features: Features) -> Acted | None:
        """Make `repeat` updates with each control."""
        steps.update(task, runs, self.controls, repeat)
        return None


@dataclass(frozen=True)
class Acting:
    """An actor that decides at every step.

    Args:
        actor: called without a graph, in the program itself: a function of tensors.
        control_of: actions and the last factors on the learning rate, (num_envs,) → control.
        draws: what it draws from, a tree of tensors for each step.
        observations: of the first step.
        resting: runs that have nothing to do, if there are any.
    """

    actor: Actor
    control_of: Callable[[Tensor, Float[Tensor, " num_envs"]], Control]
    draws: Sequence[Any]
    observations: Float[Tensor, "num_envs features"]
    resting: Bool[Tensor, " num_envs"] | None = None

    def __len__(self) -> int:
        return len(self.draws)

    def at_rest(self, mask: Bool[Tensor, " num_envs"]) -> "Acting":
        """The same with nothing to do for the masked runs."""
        return replace(self, resting=mask)

    def on_device(self) -> "Acting":
        """The same: a program that is compiled asks for nothing on the host."""
        return self

    def play(self, task: Task, runs: Runs, repeat: int, features: Features) -> Acted:
        """Observe, act, and make `repeat` updates, as often as there are draws."""
        observed, chosen = [self.observations], []
        for number, draw in enumerate(self.draws):
            if number:
                observed.append(steps.observe(task, features, runs)[0])
            with torch.no_grad():
                actions = self.actor(observed[-1], draw)
            control = self.control_of(actions, runs.history.step_size)
            if self.resting is not None:
                control = idle(control, self.resting)
            steps.update(task, runs, [control], repeat)
            chosen.append(actions)
        return Acted(tuple(observed), tuple(chosen))


Moves = Known | Acting
