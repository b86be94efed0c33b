"""What a trained policy has cost, in training runs."""

import math

from autoloss_gym.controls import HoldSchedule
from autoloss_gym.environment.vector_env import AutoLossVectorEnv

from ..configuration import WITH_BASE
from ..learners.groups.base_files import load_training_runs
from ..policies.trained.trained_policy import TrainedPolicy


def training_runs(policy: TrainedPolicy, envs: AutoLossVectorEnv) -> int:
    """Training runs behind the weights of a policy; of a group policy its search has some too.

    Args:
        policy: one that has been loaded.
        envs: environment with the control that it was trained with. Runs that ended early made room
            for others, which are not counted.
    """
    if policy.configuration.algo in WITH_BASE:
        return load_training_runs(policy.folder)
    return math.ceil(policy.steps / steps_of_a_run(envs))


def steps_of_a_run(envs: AutoLossVectorEnv) -> int:
    """Environment steps of a run that is not stopped early."""
    if isinstance(envs.control, HoldSchedule):
        return len(envs.control.moments(envs.description))
    return math.ceil(envs.task.max_steps / envs.repeat)
