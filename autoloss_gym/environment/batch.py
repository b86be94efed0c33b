"""The runs of an environment and where they are in their episodes: begun, played, and put back."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.controls import ActionControl, HoldSchedule, continued
from autoloss_gym.core.task import Control
from autoloss_gym.environment.decisions import Decisions, inner_infos
from autoloss_gym.environment.instances import Instances
from autoloss_gym.environment.moves import Acted, Acting, Actor, Known
from autoloss_gym.environment.phases import Phases
from autoloss_gym.environment.pictures import Pictures
from autoloss_gym.environment.played import Played
from autoloss_gym.environment.runs import Runs, mask_on, replaced, start
from autoloss_gym.environment.segments import Player
from autoloss_gym.tools import tree


class Batch:
    """Training runs that are played together.

    Args:
        player: plays their updates.
        control: what an action is.
        instances: deals out the problems.
        phases: where the runs are.
        memory: validations before the last one that the reward looks at.
        repeat: updates of a step with one control.
        pictures: keep the course of the runs, where it is drawn.
    """

    def __init__(
        self,
        player: Player,
        control: ActionControl | HoldSchedule,
        instances: Instances,
        phases: Phases,
        memory: int,
        repeat: int,
        pictures: Pictures | None,
    ) -> None:
        self.player = dataclasses.replace(player, watch=pictures.watch if pictures else None)
        self.instances = instances
        self.phases = phases
        self._memory = memory
        self._control = control
        # Of a control: the player makes some updates with it, up to a validation.
        self._times = repeat // player.repeat
        self._pictures = pictures
        self._decisions: Decisions | None = None
        self._shift_size = 0
        if isinstance(control, HoldSchedule):
            self._decisions = Decisions(control, self.player)
            self._shift_size = control.size(player.description)
        self.runs = self._begun(np.arange(len(phases.elapsed)))

    def restart(self, rows: np.ndarray, problems: np.ndarray | None = None) -> None:
        """New episodes for the runs `rows` (indices), on these problems if some are given."""
        fresh = self._begun(rows, problems)
        self.phases.restart(rows)
        phases = self.phases.of(rows)
        if self._pictures:
            self._pictures.record(phases, fresh, None, np.ones(len(rows), dtype=bool))
        if self._decisions:
            self._decisions.open(fresh, phases)
            self.phases.take_back(rows, phases)
        self.runs = replaced(self.runs, rows, fresh)

    def play(self, controls: Sequence[Control], resting: np.ndarray) -> Played:
        """Play controls one after another on all runs that are not `resting`."""
        repeated = [control for control in controls for _ in range(self._times)]
        return self.player.play(self.runs, self.phases, Known(repeated), resting)

    def act(self, actions: Any, resting: np.ndarray) -> Played:
        """Do what the actions ask for with all runs that are not `resting`."""
        kind = self._control
        if isinstance(kind, HoldSchedule):
            return self._decide(actions, resting)
        control = self._control_of(actions, self.runs.history.step_size)
        return self.play([control], resting)

    def act_by(
        self, actor: Actor, observations: Tensor, draws: Sequence[Any], resting: np.ndarray
    ) -> Played:
        """Do what an actor decides at each of at most `steps_ahead` steps."""
        if self._is_step_by_step:
            with torch.no_grad():
                actions = actor(observations, draws[0])
            played = self.act(actions, resting)
            played.acted = Acted((observations,), (actions,))
            return played
        acting = Acting(actor, self._control_of, draws, observations)
        try:
            return self.player.play(self.runs, self.phases, acting, resting)
        except Exception:
            # The updates before the step at which the actor has failed are made.
            self.phases.elapsed = self.runs.history.steps.cpu().numpy().copy()
            raise

    @property
    def steps_ahead(self) -> int:
        """Steps up to the next validation of any run, as far as they can be taken at once: runs
        that wait for their reset are put back by the first of them.
        """
        at_once = not (self._is_step_by_step or self.phases.finished.any())
        return self.player.steps_ahead(self.phases) if at_once else 1

    @property
    def _is_step_by_step(self) -> bool:
        """Whether a step is a decision, goes past a validation, or is drawn."""
        is_decision = isinstance(self._control, HoldSchedule)
        return is_decision or self._times > 1 or self._pictures is not None

    def _control_of(self, actions: Any, last: Tensor) -> Control:
        """The control of actions after these factors on the learning rate, (rows,)."""
        kind = self._control
        assert isinstance(kind, ActionControl)
        control = kind(self.player.description, actions, len(last), last.device)
        return continued(kind, control, last)

    def _decide(self, actions: Any, resting: np.ndarray) -> Played:
        """Play all runs that are not `resting` to their next decisions."""
        assert self._decisions is not None
        history = self.runs.history
        steps, weight_sums = history.steps.clone(), history.weight_sums.clone()
        played = self._decisions.play(self.runs, self.phases, actions, resting)
        played.inner = inner_infos(self.runs, steps, weight_sums, played)
        return played

    def opening(self, fresh: np.ndarray) -> dict[str, Tensor | np.ndarray]:
        """Infos of the updates before the first decision; none where actions are no decisions.

        Args:
            fresh: runs that have just begun, (num_envs,), bool; the others have made no update now.
        """
        if not self._decisions:
            return {}
        history = self.runs.history
        began = mask_on(fresh, history.steps.device)
        shares: Float[Tensor, "num_envs pairs"] = history.pair_shares
        return {
            "inner_steps": torch.where(began, history.steps, 0),
            "inner_shares": torch.where(began[:, None], shares, 0.0),
        }

    def __getstate__(self) -> dict[str, Any]:
        # To another process, PyTorch sends tensors as shared memory: send copies, or both
        # environments would write to the same runs.
        return {**self.__dict__, "runs": tree.clone(self.runs)}

    def _begun(self, rows: np.ndarray, problems: np.ndarray | None = None) -> Runs:
        player = self.player
        keys = self.instances.next_episode(rows, problems)
        # Copies of a run begin alike: its data are drawn once.
        places, origins = self.instances.copies(rows, problems)
        has_copies = len(places) < len(rows)
        if has_copies:
            keys = tree.select(keys, torch.from_numpy(places).to(keys.run.device))
        gradients = player.features.gradients
        runs = start(player.task, keys, self._memory, self._shift_size, gradients)
        return (
            tree.select(runs, torch.from_numpy(origins).to(keys.run.device)) if has_copies else runs
        )
