"""What a scheduler asks: a policy, for one run, with the control that its actions are for."""

import bisect
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from autoloss_gym.controllers.controller import Controller
from autoloss_gym.controllers.loops.decision import Decision
from autoloss_gym.controllers.loops.parameters import Blocks, example_of
from autoloss_gym.controllers.loops.signals import NO_FEATURES, LoopSignals
from autoloss_gym.controllers.loops.suiting import as_trained, check_features, policy_of
from autoloss_gym.controllers.policies.cosine_step import CosineStep
from autoloss_gym.controllers.policies.fine_tuned import FineTuned
from autoloss_gym.controllers.policies.loss_schedule import LossSchedule
from autoloss_gym.controllers.policies.open_loop import OpenLoop
from autoloss_gym.controllers.policies.static import FixedWeights, RandomPair, Ratio
from autoloss_gym.controllers.policies.weighting import WeightingPolicy
from autoloss_gym.controls import (
    ActionControl,
    ChoosePair,
    HoldSchedule,
    checked_control,
    continued,
)
from autoloss_gym.controls.schedule import Schedule
from autoloss_gym.core.task import Control, Metric
from autoloss_gym.signals.description import RunDescription
from autoloss_gym.weightings import WeightingRule

_CPU = torch.device("cpu")
_AHEAD = 256  # updates of a schedule that are planned at once
_KNOWN = (CosineStep, FixedWeights, LossSchedule, Ratio)
_OURS = (*_KNOWN, FineTuned, OpenLoop, RandomPair, WeightingPolicy)
_OF_NORMS = {"gradient_norms", "norm_ratio"}
_OF_PARAMETERS = {"sizes", "sparsity"}


class Decider:
    """Decides the updates of one run.

    Args:
        controller: see `Scheduler`, as all the others.
    """

    def __init__(
        self,
        controller: Any,
        losses: tuple[str, ...],
        max_steps: int,
        validate_every: int | None,
        draw: bool,
        seed: int,
    ) -> None:
        if draw and not isinstance(controller, Schedule | WeightingRule):
            raise ValueError("draw=True: expected a Schedule or a WeightingRule to draw from")
        self._control: ActionControl | HoldSchedule | None = None
        self.features = None
        if isinstance(controller, Controller):
            description = as_trained(controller, losses, max_steps, validate_every)
            controller = controller.on(description)
            self._control, self.features = controller.action_control, controller.features
            check_features(self.features.groups)
        else:
            metric = Metric("validation")
            description = RunDescription(
                pairs=losses,
                validation_metrics=(metric,),
                max_steps=max_steps,
                validate_every=validate_every or 1,
            )
        self.description = description
        self._policy = policy_of(controller, description, draw)
        self._key = torch.tensor([seed], dtype=torch.int64, device="cpu")
        self._policy.reset(np.array([seed], dtype=np.int64))
        self._shift = torch.zeros(1, self._shift_size, dtype=torch.float32, device="cpu")
        self._plan: list[Decision] = []  # of a schedule, for the updates to come
        self._planned_from = 0  # the number of the first of them
        self._held: Decision | None = None  # for the updates that an action holds
        self._moments: tuple[int, ...] = ()
        if isinstance(self._control, HoldSchedule):
            self._moments = self._control.moments(description)
        self._passed = 0  # moments that have been decided

    @property
    def _shift_size(self) -> int:
        control = self._control
        return control.size(self.description) if isinstance(control, HoldSchedule) else 0

    @property
    def _is_planned(self) -> bool:
        """Whether it is known in advance, without draws."""
        policy = self._policy
        return isinstance(policy, _KNOWN) and not getattr(policy, "draw", False)

    @property
    def observes(self) -> bool:
        """Whether it looks at losses."""
        return not self._policy.static

    @property
    def is_watching(self) -> bool:
        """Whether it will look at losses again: a schedule is held to the end after the last."""
        return self.observes and not (self._moments and self._passed == len(self._moments))

    @property
    def needs_validation(self) -> bool:
        """Whether it looks at validation metrics."""
        return self.observes and not isinstance(self._policy, WeightingPolicy)

    @property
    def needs_norms(self) -> bool:
        """Whether it looks at gradient norms."""
        if self.features:
            return bool(_OF_NORMS & set(self.features.groups))
        policy = self._policy
        return isinstance(policy, WeightingPolicy) and policy.rule.needs_gradient_norms

    def check_blocks(self, blocks: Blocks) -> None:
        """ValueError if it looks at parameters that are not known."""
        needed = _OF_PARAMETERS & set(self.features.groups if self.features else ())
        if needed and not blocks.are_known:
            names = dict.fromkeys(name for pair in self.description.blocks for name in pair)
            raise ValueError(
                f"this controller observes {', '.join(sorted(needed))} of the parameters: give "
                f"them to Scheduler(…), {example_of(tuple(names))}"
            )

    def decide(self, signals: LoopSignals, blocks: Blocks) -> Decision:
        """What to do next."""
        is_held = isinstance(self._control, HoldSchedule)
        if self.observes and not signals.are_complete and (signals.missing or not is_held):
            return self._opening(signals.missing, signals.steps)
        if is_held:
            self._shift_when_due(signals, blocks)
        if is_held or self._is_planned:
            return self._planned(signals.steps)
        repeat = self._policy.repeat if isinstance(self._policy, Controller) else 1
        if self._held is None or signals.steps % repeat == 0:
            action = self._act(signals, blocks)
            if not isinstance(action, Control):
                assert isinstance(self._control, ActionControl)
                last = torch.tensor([signals.step_size], dtype=torch.float32, device="cpu")
                action = self._control(self.description, action, 1, _CPU)
                action = continued(self._control, action, last)
            elif not isinstance(self._policy, _OURS):
                action = checked_control(action, 1, len(self.description.pairs), _CPU)
            self._held = self._fitting(Decision.of(action))
        return self._held

    def _opening(self, missing: list[int], steps: int) -> Decision:
        """What is done until every signal is known: one loss after another, or all of them."""
        count = len(self.description.pairs)
        chooses = self._control is not None and self._control_chooses()
        if chooses or (isinstance(self._policy, WeightingPolicy) and self._policy.sample):
            chosen = missing[0] if missing else steps % count
            weights = tuple(float(index == chosen) for index in range(count))
            return Decision(weights, chosen=chosen)
        return Decision((1.0,) * count)

    def state_dict(self) -> dict[str, Any]:
        """Its shift, what it holds, and the state of the policy."""
        keep = getattr(self._policy, "state_dict", None)
        return {
            "shift": self._shift.clone(),
            "passed": self._passed,
            "held": None if self._held is None else dataclasses.asdict(self._held),
            "policy": keep() if keep else {},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the state was taken."""
        self._shift = state["shift"].clone()
        self._passed = int(state["passed"])
        self._held = None if state["held"] is None else Decision(**state["held"])
        self._plan = []
        if state["policy"]:
            policy: Any = self._policy
            policy.load_state_dict(state["policy"])

    def _act(self, signals: LoopSignals, blocks: Blocks) -> Any:
        if not self.features:
            infos = signals.infos() if self.observes else {"steps": np.array([signals.steps])}
            return self._policy.act(NO_FEATURES, infos)
        parameters = blocks.packed() if _OF_PARAMETERS & set(self.features.groups) else {}
        observations = signals.observe(parameters, self._shift)
        return self._policy.act(observations, {"steps": np.array([signals.steps])})

    def _shift_when_due(self, signals: LoopSignals, blocks: Blocks) -> None:
        """Decide anew at a moment, or where a signal was missing then, as soon as all are known."""
        passed = bisect.bisect_right(self._moments, signals.steps)
        if passed > self._passed and (signals.are_complete or not self.observes):
            assert isinstance(self._control, HoldSchedule)
            action = self._act(signals, blocks)
            self._shift = self._control.shifts(self.description, action, 1, _CPU)
            self._passed, self._plan = passed, []

    def _planned(self, steps: int) -> Decision:
        """The decision for an update of a schedule that is known up to the next moment."""
        place = steps - self._planned_from
        if not 0 <= place < len(self._plan):
            # A loop may go on after its last step, with what it has.
            ends = (*self._moments[self._passed :][:1], self.description.max_steps)
            end = min(each for each in (*ends, steps + _AHEAD) if each > steps)
            self._plan = Decision.all_of(self._controls(steps, max(end, steps + 1)))
            self._planned_from, place = steps, 0
            self._fitting(self._plan[0])
        return self._plan[place]

    def _controls(self, first: int, last: int) -> list[Control]:
        """Those of the updates `first` … `last` − 1."""
        if isinstance(self._policy, _KNOWN):
            return self._policy.controls(first, last)
        assert isinstance(self._control, HoldSchedule)
        return self._control.controls(self.description, self._key, self._shift, first, last)

    def _fitting(self, decision: Decision) -> Decision:
        """The decision, or ValueError where the policy was made for other losses."""
        if len(decision.weights) != len(self.description.pairs):
            raise ValueError(
                f"{self._policy.label} of {len(decision.weights)} losses: expected "
                f"{len(self.description.pairs)} ({', '.join(self.description.pairs)})"
            )
        return decision

    def _control_chooses(self) -> bool:
        """Whether its controls take one loss at a time."""
        control = self._control
        if isinstance(control, HoldSchedule):
            draws = control.draw
            return not self.description.shares_blocks if draws is None else draws
        return isinstance(control, ChoosePair)
