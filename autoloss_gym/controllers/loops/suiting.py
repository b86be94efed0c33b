"""Controllers and whatever else may drive a loop, suited to its runs or refused in one line."""

import dataclasses
from pathlib import Path
from typing import Any

from autoloss_gym.controllers.controller import Controller
from autoloss_gym.controllers.policies.loss_schedule import LossSchedule
from autoloss_gym.controllers.policies.online_ppo import OnlinePPO
from autoloss_gym.controllers.policies.weighting import WeightingPolicy
from autoloss_gym.controllers.policy import Policy
from autoloss_gym.controls.schedule import Schedule
from autoloss_gym.signals.description import RunDescription
from autoloss_gym.tools.names import shown
from autoloss_gym.weightings import WeightingRule


def as_trained(
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


def policy_of(controller: Any, description: RunDescription, draw: bool) -> Policy:
    """The policy that is asked, for a schedule and a rule one that plays it."""
    if isinstance(controller, Schedule):
        if controller.num_pairs != len(description.pairs):
            raise ValueError(
                f"a schedule of {controller.num_pairs} weights: expected one for each of "
                f"{', '.join(description.pairs)}"
            )
        return LossSchedule("schedule", controller, description.max_steps, draw)
    if isinstance(controller, WeightingRule):
        if controller.gradient_figures != "norms":
            raise ValueError(
                f"controller={shown(controller)}: a scheduler is told the norms of gradients, and "
                f"this rule reads {controller.gradient_figures}; call the rule itself in your loop"
            )
        static = not controller.reads_losses
        return WeightingPolicy(type(controller).__name__, controller, draw, static)
    if not isinstance(controller, Policy):
        what = "a policy with static, diagnostics, reset(seeds) and act(observations, infos)"
        if isinstance(controller, str | Path):
            what = "a policy, such as Ratio('1:2', (1, 2)); from a file: Controller.load(path)"
        raise ValueError(
            f"controller={shown(controller)}: expected a Controller, a Schedule, a WeightingRule, "
            f"or {what}"
        )
    if isinstance(controller, OnlinePPO):
        raise ValueError(
            f"controller={shown(controller)}: it learns from an environment's observations, which "
            "a loop does not make; use a Controller, a rule, or a policy such as FineTuned"
        )
    if getattr(controller, "diagnostics", False):
        raise ValueError(
            f"controller={shown(controller)}: it asks for diagnostics, which only an environment "
            "can measure"
        )
    if getattr(controller, "needs_step_gradients", False):
        raise ValueError(
            f"controller={shown(controller)}: it weighs by the gradients of a step, which only an "
            "environment hands on; in your own loop call TorchJD itself, or use a WeightingRule"
        )
    return controller


def check_features(groups: tuple[str, ...]) -> None:
    """ValueError where a controller observes what a loop cannot tell."""
    unseen = [group for group in groups if group in ("gradient_noise", "gradient_cosines")]
    if unseen:
        raise ValueError(
            f"this controller observes {', '.join(unseen)}, for which a loop would have to measure "
            "gradients anew; train one without"
        )
