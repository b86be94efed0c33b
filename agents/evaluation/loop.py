"""The loop of an evaluation: many policies in one batch of runs, until each run has ended once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from autoloss_gym.controllers.policies.cosine_step import CosineStep
from autoloss_gym.controllers.policies.fine_tuned import FineTuned
from autoloss_gym.controllers.policies.loss_schedule import LossSchedule
from autoloss_gym.controllers.policies.open_loop import OpenLoop
from autoloss_gym.controllers.policies.static import FixedWeights, RandomPair, Ratio
from autoloss_gym.controllers.policy import Policy
from autoloss_gym.controls import ActionControl, HoldSchedule
from autoloss_gym.core.control import Control
from autoloss_gym.core.step_gradients import Joined
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.tools import tree

_LEAST_SUM = 1e-30  # of weights, all of which an aggregation may set to 0
# Exactly these: a class derived from one of them may look at what it observes.
_KNOWN = (CosineStep, FineTuned, FixedWeights, LossSchedule, OpenLoop, RandomPair, Ratio)


@dataclass(frozen=True)
class Step:
    """One step of all runs, as the hook of `play_episodes` sees it.

    Where a step is a decision, it is all updates up to the next one; those before the first
    decision are a step of their own, in which no run ends.

    Args:
        number: updates that a run of this length has made, this step included.
        updates: how many of them it has made in this step.
        shares: of each pair among the weights that were played, (runs, pairs), their mean over the
            updates.
        running: runs that were in their first episode when the step began, (runs,).
        ended: those of them whose episode ended with it, (runs,).
        infos: what the environment reported.
    """

    number: int
    updates: int
    shares: np.ndarray
    running: np.ndarray
    ended: np.ndarray
    infos: dict[str, Any]


def play_episodes(
    policies: Sequence[Policy],
    envs: AutoLossVectorEnv,
    seeds: np.ndarray,
    hook: Callable[[Step], None],
) -> None:
    """Play one batch of (policies × problems) runs until each has ended once.

    Args:
        policies: the runs of policy k are rows k · problems to (k + 1) · problems.
        envs: of that many runs, made with the arguments that the policies need.
        seeds: (problems,), int64.
        hook: called after every step, and may look at the environment, for example at its scores.
    """
    rows = rows_of(policies, seeds)
    observations, infos = envs.reset(seed=np.tile(seeds, len(policies)).tolist())
    for policy in policies:
        policy.reset(seeds)

    running = np.ones(envs.num_envs, dtype=bool)
    # Moments at which a step ends, where these are further apart than updates.
    moments = decision_moments(envs)
    number = moments[0] if moments else 0
    if number:
        opening = infos["inner_shares"]
        hook(Step(number, number, opening, running, np.zeros_like(running), infos))
    while running.any():
        if policies[0].diagnostics:
            infos = infos | envs.diagnostics()
        if moments:
            before, number = number, next(each for each in moments if each > number)
            actions = _decisions(policies, rows, observations, infos)
            observations, _, ended, _, infos = envs.step(actions)
            shares = infos["inner_shares"]
        else:
            before, number = number, number + envs.repeat
            control = _decide(policies, rows, envs, observations, infos)
            observations, _, ended, _, infos = envs.step_control(control)
            shares = _shares(control)
        hook(Step(number, number - before, shares, running, ended & running, infos))
        running = running & ~ended


def decision_moments(envs: AutoLossVectorEnv) -> tuple[int, ...]:
    """Numbers of updates before each decision and at the end, where a step is a decision."""
    if not isinstance(envs.control, HoldSchedule):
        return ()
    return (*envs.control.moments(envs.description), envs.task.max_steps)


def play_known(
    policies: Sequence[Policy],
    envs: AutoLossVectorEnv,
    seeds: np.ndarray,
    hook: Callable[[Step], None],
) -> None:
    """The same for policies that are known in advance, see `is_known`.

    An episode is played at once, and only then does the environment report; the hook is called for
    each step after that.
    """
    rows = rows_of(policies, seeds)
    envs.reset(seed=np.tile(seeds, len(policies)).tolist())
    for policy in policies:
        policy.reset(seeds)

    unseen = np.zeros((envs.num_envs, 0), dtype=np.float32)
    controls = []
    for step in range(0, envs.task.max_steps, envs.repeat):
        infos = {"steps": np.full(envs.num_envs, step)}
        controls.append(_decide(policies, rows, envs, unseen, infos))
    _, _, ended, _, infos = envs.rollout(controls)
    assert ended.all()
    lengths = infos["final_info"]["steps"]
    for number, control in enumerate(controls, start=1):
        updates = number * envs.repeat
        running = lengths > updates - envs.repeat
        if not running.any():
            return
        ended = lengths == updates
        hook(Step(updates, envs.repeat, _shares(control), running, ended & running, infos))


def is_known(policy: Policy, envs: AutoLossVectorEnv) -> bool:
    """Whether all that a policy does follows from the number of updates and the seeds.

    Runs must end at validations alone, where all policies look at them together.
    """
    in_phase = envs.task.validate_every % envs.repeat == 0
    return in_phase and not decision_moments(envs) and type(policy) in _KNOWN


def rows_of(policies: Sequence[Policy], seeds: np.ndarray) -> list[slice]:
    """The runs of each policy in a batch."""
    count = len(seeds)
    return [slice(k * count, (k + 1) * count) for k in range(len(policies))]


def _shares(control: Control) -> np.ndarray:
    """Share of each pair among the weights, (runs, pairs), after they were played.

    Where they follow from the gradients of the step, those of their absolute values by the blocks
    that several pairs share.
    """
    weights = control.weights.cpu().numpy()
    if isinstance(control.reweigh, Joined) and control.reweigh.latest is not None:
        weights = np.abs(weights * control.reweigh.latest.shared.cpu().numpy())
    shares: np.ndarray = weights / np.maximum(weights.sum(axis=1, keepdims=True), _LEAST_SUM)
    return shares


def _decisions(
    policies: Sequence[Policy],
    slices: list[slice],
    observations: np.ndarray,
    infos: dict[str, Any],
) -> np.ndarray:
    """The next actions of all policies, each for the runs of its slice.

    Raises:
        ValueError: a policy says what to do in a single update.
    """
    dense = {name: values for name, values in infos.items() if isinstance(values, np.ndarray)}
    actions = []
    for policy, rows in zip(policies, slices, strict=True):
        known = {name: values[rows] for name, values in dense.items()}
        action = policy.act(observations[rows], known)
        if isinstance(action, Control):
            raise ValueError(
                f"policy {policy.label!r} chooses for a single update, and with control='schedule' "
                "a step is many: leave out control, which trained policies bring along"
            )
        actions.append(action)
    return np.concatenate(actions)


def _decide(
    policies: Sequence[Policy],
    slices: list[slice],
    envs: AutoLossVectorEnv,
    observations: np.ndarray,
    infos: dict[str, Any],
) -> Control:
    """The next control of all policies, each in the runs of its slice."""
    dense = {name: values for name, values in infos.items() if isinstance(values, np.ndarray)}
    parts = []
    for policy, rows in zip(policies, slices, strict=True):
        known = {name: values[rows] for name, values in dense.items()}
        action = policy.act(observations[rows], known)
        if not isinstance(action, Control):
            assert isinstance(envs.control, ActionControl)
            action = envs.control(envs.description, action, rows.stop - rows.start, envs.device)
        parts.append(tree.map_tensors(lambda tensor: tensor.to(envs.device), action))

    choices = [part.choice for part in parts]
    everyone_chose = all(choice is not None for choice in choices)
    functions = [part.reweigh for part in parts]
    return Control(
        weights=torch.cat([part.weights for part in parts]),
        step_size=torch.cat([part.step_size for part in parts]),
        choice=np.concatenate(choices) if everyone_chose else None,
        reweigh=Joined(functions, slices) if any(functions) else None,
    )
