"""The loop of an evaluation: many policies in one batch of runs, until each run has ended once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from autoloss_gym.core.task import Control
from autoloss_gym.environment.controls import ActionControl
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.tools import tree

from ..policies.policy import Policy


@dataclass(frozen=True)
class Step:
    """One step of all runs, as the hook of `play_episodes` sees it.

    Args:
        number: updates that a run of this length has made, this step included.
        control: what the policies chose.
        running: runs that were in their first episode when the step began, (runs,).
        ended: those of them whose episode ended with it, (runs,).
        infos: what the environment reported.
    """

    number: int
    control: Control
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
    number = 0
    while running.any():
        if policies[0].diagnostics:
            infos = infos | envs.diagnostics()
        control = _decide(policies, rows, envs, observations, infos)
        observations, _, ended, _, infos = envs.step_control(control)
        number += envs.repeat
        hook(Step(number, control, running, ended & running, infos))
        running = running & ~ended


def rows_of(policies: Sequence[Policy], seeds: np.ndarray) -> list[slice]:
    """The runs of each policy in a batch."""
    count = len(seeds)
    return [slice(k * count, (k + 1) * count) for k in range(len(policies))]


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
            action = envs.control(envs.task, action, rows.stop - rows.start, envs.device)
        parts.append(tree.map_tensors(lambda tensor: tensor.to(envs.device), action))

    choices = [part.choice for part in parts]
    everyone_chose = all(choice is not None for choice in choices)
    return Control(
        weights=torch.cat([part.weights for part in parts]),
        step_size=torch.cat([part.step_size for part in parts]),
        choice=np.concatenate(choices) if everyone_chose else None,
    )
