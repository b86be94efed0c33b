"""Segments: moves that are made one after another without a report."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.core.chunks import between
from autoloss_gym.core.task import Control, Task
from autoloss_gym.environment.moves import Acting, Known, Moves
from autoloss_gym.environment.phases import Phases
from autoloss_gym.environment.played import Played, Validation, joined
from autoloss_gym.environment.programs import Programs
from autoloss_gym.environment.runs import Runs, mask_on
from autoloss_gym.signals.description import RunDescription
from autoloss_gym.signals.features import Features
from autoloss_gym.signals.rewards import Reward
from autoloss_gym.tools import tree

# Called after every update with the runs, their control and those that have made the update.
Watch = Callable[[Phases, Runs, Control, np.ndarray], None]


@dataclass(frozen=True)
class Player:
    """Plays controls on runs.

    Args:
        task: what is trained.
        reward: what the runs are paid.
        features: what is observed.
        programs: what computes all this.
        repeat: updates with each move.
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

    def play(self, runs: Runs, phases: Phases, moves: Moves, resting: np.ndarray) -> Played:
        """Make the moves one after another; runs that end are left as they are then.

        Args:
            runs: all of them; changed.
            phases: where they are; changed.
            moves: for all runs, at least one; of an actor, no more than up to the next validation.
            resting: runs that are to stay as they are, (num_envs,), bool.
        """
        updates = len(moves) * self.repeat
        size = self.programs.runs_at_once(updates, self.task, runs.shift.device)
        if size is None or size >= len(resting) or self.watch:
            return self._play(runs, phases, moves, resting)
        parts = []
        for first in range(0, len(resting), size):
            rows = np.arange(first, min(first + size, len(resting)))
            parts.append(self._play_rows(runs, phases, moves.on_device(), resting, rows))
        return joined(parts)

    def steps_ahead(self, phases: Phases) -> int:
        """Steps up to the next validation of any run, at least 1."""
        return 1 if self.watch else max(phases.until_validation() // self.repeat, 1)

    def _play_rows(
        self, runs: Runs, phases: Phases, moves: Moves, resting: np.ndarray, rows: np.ndarray
    ) -> Played:
        """Play the runs `rows`, one after another, and bring them back."""
        first, last = int(rows[0]), int(rows[-1]) + 1
        part, own = between(runs, first, last), phases.of(rows)
        views = tree.leaves(part)
        played = self._play(part, own, between(moves, first, last), resting[rows])
        for view, leaf in zip(views, tree.leaves(part), strict=True):
            if leaf is not view:
                view.copy_(leaf)
        phases.take_back(rows, own)
        return played

    def _play(self, runs: Runs, phases: Phases, moves: Moves, resting: np.ndarray) -> Played:
        """Play runs that are all in one program."""
        played = Played.nothing(len(resting), runs.shift.device)
        if isinstance(moves, Acting):
            self._segment(runs, phases, moves, resting, played, is_last=True)
            return played
        aside: list[tuple[np.ndarray, Runs, Phases]] = []
        start = 0
        while start < len(moves) and not (start and (resting | played.ended).all()):
            end = min(start + self.steps_ahead(phases), len(moves))
            is_last = end == len(moves)
            some = Known(moves.controls[start:end])
            self._segment(runs, phases, some, resting | played.ended, played, is_last)
            start = end
            new = played.ended & played.due
            if np.count_nonzero(new) and not is_last:
                rows = np.flatnonzero(new)
                aside.append((rows, tree.select(runs, _on(rows, runs)), phases.of(rows)))
        for rows, part, phase in aside:
            tree.merge(runs, _on(rows, runs), part)
            phases.take_back(rows, phase)
        return played

    def _segment(
        self,
        runs: Runs,
        phases: Phases,
        moves: Moves,
        resting: np.ndarray,
        played: Played,
        is_last: bool,
    ) -> None:
        """Updates after which a validation may be due."""
        if np.count_nonzero(resting):
            moves = moves.at_rest(mask_on(resting, runs.shift.device))
        played.due = phases.advance(len(moves) * self.repeat, resting)
        # A single update has its own program: most steps make it without a validation.
        if played.due.all() and len(moves) * self.repeat > 1:
            self._validated(runs, phases, moves, played, is_last)
        else:
            self._updated(runs, phases, moves, played, quiet=is_last and not resting.any())
        if self.watch:
            assert isinstance(moves, Known)
            self.watch(phases, runs, moves.controls[-1], ~resting)

    def _validated(
        self, runs: Runs, phases: Phases, moves: Moves, played: Played, is_last: bool
    ) -> None:
        """Moves at whose end all runs are validated."""
        given = (self.task, self.reward, runs, moves, self.repeat, self.features)
        segment = self.programs.segment(*given, phases.spent())
        played.acted = segment.acted
        self._count(runs, played, segment.rewards, segment.ended)
        if is_last and not played.ended.any():
            played.observed = segment.observed

    def _updated(
        self, runs: Runs, phases: Phases, moves: Moves, played: Played, quiet: bool
    ) -> None:
        """Moves at whose end some runs are validated, or none."""
        is_validated = bool(np.count_nonzero(played.due))
        # Where nothing else will change the runs, they are observed in the same program.
        quiet = quiet and not is_validated
        given = (self.task, runs, moves, self.repeat, self.features)
        played.observed, played.acted = self.programs.update(*given, quiet)
        if is_validated:
            spent = phases.spent()
            judged = self.programs.judge(self.task, self.reward, runs, played.due, spent)
            self._count(runs, played, *judged)

    def _count(
        self, runs: Runs, played: Played, rewards: Float[Tensor, " num_envs"], ended: np.ndarray
    ) -> None:
        """Take in what a validation has brought."""
        played.rewards = played.rewards + rewards if played.validations else rewards
        if self.may_end:
            played.ended = played.ended | ended
        metrics = runs.history.validation
        played.validations.append(Validation(played.due, rewards, metrics))


def _on(rows: np.ndarray, runs: Runs) -> Tensor:
    return torch.from_numpy(rows).to(runs.shift.device)
