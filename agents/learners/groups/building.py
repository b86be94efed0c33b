"""The untrained controller of a configuration."""

import torch
from gymnasium import spaces

from autoloss_gym.controllers.networks.shift_network import ShiftNetwork
from autoloss_gym.controls import HoldSchedule
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.tools.arguments import build

from ...configuration import TrainingConfiguration
from .options import GroupOptions


def build_shift_network(
    configuration: TrainingConfiguration, envs: AutoLossVectorEnv
) -> ShiftNetwork:
    """The untrained controller of a configuration, for the spaces of `envs`.

    Raises:
        ValueError: the environment does not hold schedules, or its actions are a grid.
    """
    options = build(GroupOptions, configuration.hyperparameters)
    control = envs.control
    if not isinstance(control, HoldSchedule):
        raise ValueError(
            "--algo group shifts a schedule at a few decisions: leave out control, or give "
            "control=schedule"
        )
    space = envs.single_action_space
    if not isinstance(space, spaces.Box):
        raise ValueError(f"--algo group needs a Box of actions, got {space}: leave out levels")
    assert envs.single_observation_space.shape is not None
    controller = ShiftNetwork(
        len(control.moments(envs.description)),
        envs.single_observation_space.shape[0],
        space.shape[0],
        options.hidden_size,
        options.observation_clip,
        options.blind,
    )
    deviations = torch.full((space.shape[0],), options.weight_deviation / control.weight_reach)
    if control.step_size:
        deviations[-1] = options.step_deviation / control.step_reach
    controller.log_deviations.data[:] = torch.log(deviations)
    return controller
