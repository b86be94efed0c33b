"""Batches of runs that a group policy plays."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.controllers.networks.shift_network import ShiftNetwork
from autoloss_gym.environment.vector_env import AutoLossVectorEnv

from ..training_log import EPISODE_FIGURES
from .gradient import GroupRuns
from .options import GroupOptions
from .outcomes import final_figures, outcomes_of

Noise = Float[Tensor, "num_envs decisions actions"]


@torch.no_grad()
def play(
    envs: AutoLossVectorEnv,
    controller: ShiftNetwork,
    seeds: np.ndarray,
    noise: Noise | None,
    options: GroupOptions,
) -> GroupRuns:
    """Play new runs to their ends.

    Args:
        envs: of tensors and with control "schedule", in NextStep mode: the last step then resets
            nothing.
        controller: gives the mean actions and their deviations.
        seeds: of the runs, (num_envs,), int64.
        noise: normal draws; None to act by 0, which is the base.
        options: what the outcome is.
    """
    observations, _ = envs.reset(seed=seeds.tolist())
    running = torch.ones(envs.num_envs, dtype=torch.bool, device=envs.device)
    deviations = torch.exp(controller.log_deviations)
    figures: dict[str, Tensor] = {}
    outcomes = torch.zeros(envs.num_envs, dtype=torch.float32, device=envs.device)
    recorded = []

    for decision in range(controller.num_decisions):
        if noise is None:
            actions = torch.zeros_like(controller.at(decision, observations))
        else:
            means = controller.at(decision, observations)
            actions = means + deviations[decision] * noise[:, decision]
        recorded.append((observations, actions, running))
        observations, _, ended, _, infos = envs.step(actions)
        ending = running & ended
        final = final_figures(infos)
        if "best_score" in final:
            found = outcomes_of(envs.task, final, options.outcome)
            outcomes = torch.where(ending, found, outcomes)
            figures = _collected(figures, final, ending)
        running = running & ~ended

    observed, acted, ran = (torch.stack(column) for column in zip(*recorded, strict=True))
    averages = {name: values.double().mean().item() for name, values in figures.items()}
    return GroupRuns(observed, acted, ran, outcomes, averages)


def action_noise(seed: int, update: int, envs: AutoLossVectorEnv, num_decisions: int) -> Noise:
    """Normal draws, a function of the training's seed, the update and the run alone."""
    rows = torch.arange(envs.num_envs, dtype=torch.int64, device=envs.device)
    keys = random.fold_in(torch.full_like(rows, seed), "group actions")
    keys = random.fold_in(random.fold_in(keys, update), rows)
    assert envs.single_action_space.shape is not None
    return random.normal(keys, (num_decisions, *envs.single_action_space.shape))


def _collected(
    figures: dict[str, Tensor], final: Mapping[str, Any], rows: Bool[Tensor, " num_envs"]
) -> dict[str, Tensor]:
    """Figures of the runs `rows`, which have just ended, beside those of runs before."""
    collected = {}
    for name in EPISODE_FIGURES:
        before = figures.get(name, torch.zeros_like(final[name]))
        collected[name] = torch.where(rows, final[name], before)
    return collected
