"""What a scheduler asks: a policy, for one run, with the control that its actions are for."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from autoloss_gym.controllers.controller import Controller
from autoloss_gym.controllers.loop_signals import NO_FEATURES, LoopSignals
from autoloss_gym.controllers.loss_schedule import LossSchedule
from autoloss_gym.controllers.open_loop import OpenLoop
from autoloss_gym.controllers.parameters import Blocks, example_of
from autoloss_gym.controllers.policy import Policy
from autoloss_gym.controllers.static import FixedWeights, RandomPair, Ratio
from autoloss_gym.controllers.weighting import WeightingPolicy
from autoloss_gym.controls import ActionControl, HoldSchedule, checked_control
from autoloss_gym.controls.schedule import Schedule
from autoloss_gym.core.task import Control, Metric
from autoloss_gym.signals.description import RunDescription
from autoloss_gym.tools.names import shown
from autoloss_gym.weightings import WeightingRule

_CPU = torch.device("cpu")
_OURS = (FixedWeights, LossSchedule, OpenLoop, RandomPair, Ratio, WeightingPolicy)
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
            description = _as_trained(controller, losses, max_steps, validate_every)
            controller = controller.on(description)
            self._control, self.features = controller.action_control, controller.features
            _check_features(self.features.groups)
        else:
            metric = Metric("validation")
            description = RunDescription(
                pairs=losses,
                validation_metrics=(metric,),
                max_steps=max_steps,
                validate_every=validate_every or 1,
            )
        self.description = description
        self._policy = _policy(controller, description, draw)
        self._key = torch.tensor([seed], dtype=torch.int64, device="cpu")
        self._policy.reset(np.array([seed], dtype=np.int64))
        self._shift = torch.zeros(1, self._shift_size, dtype=torch.float32, device="cpu")
        self._ahead: list[Control] = []  # of a schedule that is held, for the updates to come
        self._held: Control | None = None  # for the updates that an action holds
        self._moments: tuple[int, ...] = ()
        if isinstance(self._control, HoldSchedule):
            self._moments = self._control.moments(description)
        self._passed = 0  # moments that have been decided

    @property
    def _shift_size(self) -> int:
        control = self._control
        return control.size(self.description) if isinstance(control, HoldSchedule) else 0

    @property
    def observes(self) -> bool:
        """Whether it looks at losses."""
        return not self._policy.static

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

    def decide(self, signals: LoopSignals, blocks: Blocks) -> Control:
        """The next control."""
        is_held = isinstance(self._control, HoldSchedule)
        if self.observes and not signals.are_complete and (signals.missing or not is_held):
            return self._opening(signals.missing, signals.steps)
        if isinstance(self._control, HoldSchedule):
            return self._next_ahead(self._control, signals, blocks)
        repeat = self._policy.repeat if isinstance(self._policy, Controller) else 1
        if self._held is None or signals.steps % repeat == 0:
            action = self._act(signals, blocks)
            if isinstance(action, Control):
                self._held = self._checked(action)
            else:
                assert isinstance(self._control, ActionControl)
                self._held = self._control(self.description, action, 1, _CPU)
        return self._held

    def _opening(self, missing: list[int], steps: int) -> Control:
        """What is done until every signal is known: one loss after another, or all of them."""
        count = len(self.description.pairs)
        weights = torch.ones(1, count, dtype=torch.float32, device="cpu")
        chooses = self._control is not None and self._control_chooses()
        if chooses or (isinstance(self._policy, WeightingPolicy) and self._policy.sample):
            index = missing[0] if missing else steps % count
            weights = torch.zeros_like(weights)
            weights[0, index] = 1.0
        return Control(weights=weights, step_size=torch.ones_like(weights[:, 0]))

    def state_dict(self) -> dict[str, Any]:
        """Its shift, what it holds, and the state of the policy."""
        keep = getattr(self._policy, "state_dict", None)
        held = self._held
        return {
            "shift": self._shift.clone(),
            "passed": self._passed,
            "held": None if held is None else (held.weights.clone(), held.step_size.clone()),
            "policy": keep() if keep else {},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the state was taken."""
        self._shift = state["shift"].clone()
        self._passed = int(state["passed"])
        self._held = None if state["held"] is None else Control(*state["held"])
        self._ahead = []
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

    def _checked(self, control: Control) -> Control:
        if isinstance(self._policy, _OURS):
            if control.weights.shape[1] != len(self.description.pairs):
                raise ValueError(
                    f"{self._policy.label} of {control.weights.shape[1]} losses: expected "
                    f"{len(self.description.pairs)} ({', '.join(self.description.pairs)})"
                )
            return control
        return checked_control(control, 1, len(self.description.pairs), _CPU)

    def _next_ahead(self, control: HoldSchedule, signals: LoopSignals, blocks: Blocks) -> Control:
        """The next update of the schedule that is held; at its moments, a decision first.

        A decision for which a signal is missing is made as soon as all are known.
        """
        passed = sum(moment <= signals.steps for moment in self._moments)
        if passed > self._passed and (signals.are_complete or not self.observes):
            action = self._act(signals, blocks)
            self._shift = control.shifts(self.description, action, 1, _CPU)
            self._passed, self._ahead = passed, []
        if not self._ahead:
            # A loop may go on after its last step, with what it has.
            ends = (*self._moments, self.description.max_steps, signals.steps + 1)
            end = next(each for each in ends if each > signals.steps)
            self._ahead = control.controls(
                self.description, self._key, self._shift, signals.steps, end
            )
        return self._ahead.pop(0)

    def _control_chooses(self) -> bool:
        """Whether its controls take one loss at a time."""
        control = self._control
        if isinstance(control, HoldSchedule):
            draws = control.draw
            return not self.description.shares_blocks if draws is None else draws
        return type(control).__name__ == "ChoosePair"


def _as_trained(
    controller: Controller, losses: tuple[str, ...], max_steps: int, validate_every: int | None
) -> RunDescription:
    """The description of the loop's runs: that of the training, with other names and lengths."""
    trained = controller.description
    if len(losses) != len(trained.pairs):
        raise ValueError(
            f"losses={list(losses)}: expected {len(trained.pairs)}, in the order of "
            f"{', '.join(trained.pairs)}, which the controller was trained with"
        )
    if losses != trained.pairs and set(losses) == set(trained.pairs):
        raise ValueError(
            f"losses={list(losses)}: expected the order in which the controller was trained, "
            f"{list(trained.pairs)}"
        )
    if validate_every is None:
        validate_every = max(1, round(trained.validate_every * max_steps / trained.max_steps))
    return dataclasses.replace(
        trained, pairs=losses, max_steps=max_steps, validate_every=validate_every
    )


def _policy(controller: Any, description: RunDescription, draw: bool) -> Policy:
    if isinstance(controller, Schedule):
        if controller.num_pairs != len(description.pairs):
            raise ValueError(
                f"a schedule of {controller.num_pairs} weights: expected one for each of "
                f"{', '.join(description.pairs)}"
            )
        return LossSchedule("schedule", controller, description.max_steps, draw)
    if isinstance(controller, WeightingRule):
        static = not controller.reads_losses
        return WeightingPolicy(type(controller).__name__, controller, draw, static)
    if not isinstance(controller, Policy):
        what = "a policy with static, diagnostics, reset(seeds) and act(observations, infos)"
        if isinstance(controller, str | Path):
            what = "a policy; from a file: Controller.load(path)"
        raise ValueError(
            f"controller={shown(controller)}: expected a Controller, a Schedule, a WeightingRule, "
            f"or {what}"
        )
    if getattr(controller, "diagnostics", False):
        raise ValueError(
            f"controller={shown(controller)}: it asks for diagnostics, which only an environment "
            "can measure"
        )
    return controller


def _check_features(groups: tuple[str, ...]) -> None:
    unseen = [group for group in groups if group in ("gradient_noise", "gradient_cosines")]
    if unseen:
        raise ValueError(
            f"this controller observes {', '.join(unseen)}, for which a loop would have to measure "
            "gradients anew; train one without"
        )
