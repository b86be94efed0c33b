"""Segments: controls that are known in advance, played one after another without a report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.controls import idle
from autoloss_gym.core.task import Control, Task
from autoloss_gym.environment.phases import Phases
from autoloss_gym.environment.programs import Programs
from autoloss_gym.environment.runs import Observations, Runs, mask_on
from autoloss_gym.signals.description import RunDescription
from autoloss_gym.signals.features import Features
from autoloss_gym.signals.rewards import Reward
from autoloss_gym.tools import tree

# Called after every update with the runs, their control and those that have made the update.
Watch = Callable[[Phases, Runs, Control, np.ndarray], None]


class Validation(NamedTuple):
    """Runs that were validated, (num_envs,), bool, on the host; what all were paid, and the metrics
    of all as far as they are known then.
    """

    due: np.ndarray
    rewards: Float[Tensor, " num_envs"]
    metrics: Float[Tensor, "num_envs metrics"]


@dataclass
class Played:
    """What a segment was worth.

    Args:
        rewards: their sum, (num_envs,).
        ended: runs that ended in the segment, (num_envs,), bool, on the host.
        due: runs that its last update has validated, (num_envs,), bool, on the host.
        observed: features of the runs after it, where they were computed on the way.
        validations: of some runs, one after another.
        inner: infos of its course, where a step is a decision.
    """

    rewards: Float[Tensor, " num_envs"]
    ended: np.ndarray
    due: np.ndarray
    observed: Observations | None = None
    validations: list[Validation] = field(default_factory=list)
    inner: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Player:
    """Plays controls on runs.

    Args:
        task: what is trained.
        reward: what the runs are paid.
        features: what is observed.
        programs: what computes all this.
        repeat: updates with each control.
        watch: sees every update; then each is a program of its own.
        may_end: whether runs end where their budget is spent or their task says so.
    """

    task: Task
    reward: Reward
    features: Features
    programs: Programs
    repeat: int
    watch: Watch | None = None
    may_end: bool = True

    @property
    def description(self) -> RunDescription:
        return self.features.description

    def play(
        self, runs: Runs, phases: Phases, controls: Sequence[Control], resting: np.ndarray
    ) -> Played:
        """Play the controls one after another; runs that end are left as they are then.

        Args:
            runs: all of them; changed.
            phases: where they are; changed.
            controls: for all runs, at least one.
            resting: runs that are to stay as they are, (num_envs,), bool.
        """
        rewards = torch.zeros(len(resting), dtype=torch.float32, device=runs.shift.device)
        played = Played(rewards, np.zeros_like(resting), np.zeros_like(resting))
        aside: list[tuple[np.ndarray, Runs, Phases]] = []
        start = 0
        while start < len(controls) and not (start and (resting | played.ended).all()):
            end = min(start + self._length(phases), len(controls))
            is_last = end == len(controls)
            self._block(runs, phases, controls[start:end], resting | played.ended, played, is_last)
            start = end
            new = played.ended & played.due
            if np.count_nonzero(new) and not is_last:
                rows = np.flatnonzero(new)
                aside.append((rows, tree.select(runs, _on(rows, runs)), phases.of(rows)))
        for rows, part, phase in aside:
            tree.merge(runs, _on(rows, runs), part)
            phases.take_back(rows, phase)
        return played

    def _length(self, phases: Phases) -> int:
        """Controls up to the next validation of any run."""
        return 1 if self.watch else max(phases.until_validation() // self.repeat, 1)

    def _block(
        self,
        runs: Runs,
        phases: Phases,
        controls: Sequence[Control],
        resting: np.ndarray,
        played: Played,
        is_last: bool,
    ) -> None:
        """Updates after which a validation may be due."""
        if np.count_nonzero(resting):
            mask = mask_on(resting, runs.shift.device)
            controls = [idle(control, mask) for control in controls]
        played.due = phases.advance(len(controls) * self.repeat, resting)
        is_validated = bool(np.count_nonzero(played.due))

        # Where nothing else will change the runs, they are observed in the same program.
        quiet = is_last and not is_validated and not np.count_nonzero(resting)
        played.observed = self.programs.update(
            self.task, runs, controls, self.repeat, self.features, quiet
        )
        if is_validated:
            spent = phases.spent()
            rewards, ended = self.programs.judge(self.task, self.reward, runs, played.due, spent)
            played.rewards = played.rewards + rewards if played.validations else rewards
            if self.may_end:
                played.ended = played.ended | ended
            metrics = runs.history.validation
            played.validations.append(Validation(played.due, rewards, metrics))
        if self.watch:
            self.watch(phases, runs, controls[-1], ~resting)


def _on(rows: np.ndarray, runs: Runs) -> Tensor:
    return torch.from_numpy(rows).to(runs.shift.device)
