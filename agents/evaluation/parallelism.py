"""How many processes an evaluation pays for."""

import os
import time

import torch

from autoloss_gym.core.control import Control

from ..environments import MakeEnv

_TRIED_RUNS = 16
_TRIED_UPDATES = 4
# A worker takes some seconds to begin; an evaluation that is over by then has nothing to gain.
_LEAST_SECONDS = 20.0


def workers_that_pay(make_env: MakeEnv, num_runs: int) -> int:
    """One process a core for an evaluation that takes long, else 1.

    A few updates of a few runs are timed, uncompiled. What is played does not depend on it.

    Args:
        make_env: (num_envs, **env_arguments) → environment.
        num_runs: training runs that will be played, at most.
    """
    cores = available_cores()
    if cores == 1:
        return 1
    envs = make_env(num_envs=_TRIED_RUNS, compile=False)
    if envs.device.type != "cpu":
        return 1  # processes would share the device
    shape = (_TRIED_RUNS, len(envs.task.pairs))
    weights = torch.ones(shape, dtype=torch.float32, device=envs.device)
    controls = [Control(weights=weights, step_size=weights[:, 0])]
    begun = time.perf_counter()
    envs.reset(seed=0)
    is_reset = time.perf_counter()
    envs.rollout(controls * _TRIED_UPDATES)
    is_played = time.perf_counter()
    envs.close()
    updates = envs.task.max_steps * (is_played - is_reset) / _TRIED_UPDATES
    seconds = (is_reset - begun + updates) / _TRIED_RUNS * num_runs
    return cores if seconds >= _LEAST_SECONDS else 1


def available_cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
