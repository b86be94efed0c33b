"""Steps that are decisions: the updates between two of them, for runs that may be out of phase."""

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autoloss_gym.controls import HoldSchedule
from autoloss_gym.environment.moves import Known
from autoloss_gym.environment.phases import Phases
from autoloss_gym.environment.played import Played
from autoloss_gym.environment.runs import Runs, mask_on
from autoloss_gym.environment.segments import Player
from autoloss_gym.tools import tree


class Decisions:
    """Plays runs from decision to decision.

    Args:
        control: when decisions are made, and what they do.
        player: plays the updates.

    Raises:
        ValueError: the player repeats controls: those of a schedule are one for each update.
    """

    def __init__(self, control: HoldSchedule, player: Player) -> None:
        if player.repeat > 1:
            raise ValueError(
                f"repeat={player.repeat} with control='schedule': expected 1, as a step plays all "
                "updates up to the next decision: leave repeat out, or choose another control"
            )
        self._control = control
        self._player = player
        # Before its first decision, a run is not ended: its end would belong to no step.
        self._opening = dataclasses.replace(player, may_end=False)
        self._moments = np.array(
            [*control.moments(player.description), player.description.max_steps]
        )

    def open(self, runs: Runs, phases: Phases) -> None:
        """Play the base up to the first decision, for runs that have just begun."""
        first = int(self._moments[0])
        if first:
            controls = self._between(runs, 0, first)
            self._opening.play(runs, phases, controls, np.zeros(len(phases.elapsed), dtype=bool))

    def play(self, runs: Runs, phases: Phases, actions: Any, resting: np.ndarray) -> Played:
        """Play all runs that are not `resting`, (num_envs,), bool, to their next decisions."""
        device = runs.shift.device
        shifts = self._control.shifts(self._player.description, actions, len(resting), device)
        runs.shift = torch.where(mask_on(resting, device)[:, None], runs.shift, shifts)
        before = phases.elapsed.copy()
        moments = np.unique(before[~resting])
        if len(moments) == 1 and not np.count_nonzero(resting):
            return self._segment(runs, phases, int(moments[0]))

        whole = Played.nothing(len(resting), device)
        for moment in moments:
            rows = np.flatnonzero(~resting & (before == moment))
            on_device = torch.from_numpy(rows).to(device)
            part, part_phases = tree.select(runs, on_device), phases.of(rows)
            played = self._segment(part, part_phases, int(moment))
            tree.merge(runs, on_device, part)
            phases.take_back(rows, part_phases)
            whole.take(played, rows)
        return whole

    def _segment(self, runs: Runs, phases: Phases, moment: int) -> Played:
        """Play runs that all are at the same decision."""
        last = int(self._moments[np.searchsorted(self._moments, moment, side="right")])
        controls = self._between(runs, moment, last)
        return self._player.play(runs, phases, controls, np.zeros(len(phases.elapsed), dtype=bool))

    def _between(self, runs: Runs, first: int, last: int) -> Known:
        keys = runs.state.keys.run
        description = self._player.description
        return Known(self._control.controls(description, keys, runs.shift, first, last))


def inner_infos(
    runs: Runs, steps: Tensor, weight_sums: Tensor, played: Played
) -> dict[str, Tensor]:
    """What happened in the updates of a step.

    Args:
        runs: after them.
        steps: updates that each run had made before them, (num_envs,).
        weight_sums: of the pairs, before them, (num_envs, pairs).
        played: what was played.

    Returns:
        `inner_steps` (num_envs,), int64; `inner_rewards` (num_envs, validations) and
        `inner_validation` (num_envs, validations, metrics), NaN where a run was not validated;
        `inner_shares` (num_envs, pairs), the mean share of each pair, 0 for a run that made no
        update.
    """
    history = runs.history
    made = history.steps - steps
    shares = (history.weight_sums - weight_sums) / made.clamp(min=1)[:, None]
    # Without a validation, as where all runs are only reset, the arrays are there and empty.
    rewards = [played.rewards.new_zeros(len(made), 0)]
    metrics = [history.validation.new_zeros(len(made), 0, history.validation.shape[1])]
    for validation in played.validations:
        due = mask_on(validation.due, made.device)[:, None]
        rewards.append(torch.where(due, validation.rewards[:, None], torch.nan))
        values = torch.where(due, validation.metrics, torch.nan)
        metrics.append(values[:, None])
    return {
        "inner_steps": made,
        "inner_rewards": torch.cat(rewards, dim=1),
        "inner_validation": torch.cat(metrics, dim=1),
        "inner_shares": shares,
    }
