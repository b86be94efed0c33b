"""The network that plays a tuned schedule as it is."""

from autoloss_gym.controllers.networks.shift_network import ShiftNetwork
from autoloss_gym.controls import HoldSchedule
from autoloss_gym.environment.vector_env import AutoLossVectorEnv

from ...configuration import TrainingConfiguration


def build_still_network(
    configuration: TrainingConfiguration, envs: AutoLossVectorEnv
) -> ShiftNetwork:
    """A network that shifts the schedule by nothing, whatever it sees, for the spaces of `envs`.

    Raises:
        ValueError: the environment does not hold one schedule throughout.
    """
    control = envs.control
    if not (isinstance(control, HoldSchedule) and _is_still(control, envs)):
        raise ValueError(
            f"--algo {configuration.algo} plays one schedule from the first update to the last: "
            "leave out control and control_arguments"
        )
    observed, entries = envs.single_observation_space.shape, envs.single_action_space.shape
    assert observed is not None
    assert entries is not None
    network = ShiftNetwork(1, observed[0], entries[0], hidden_size=1, blind=True)
    network.hidden_weights.data.zero_()
    return network


def _is_still(control: HoldSchedule, envs: AutoLossVectorEnv) -> bool:
    """Whether there is one decision, at the start, and weights are no probabilities."""
    is_box = control.levels is None
    return is_box and control.moments(envs.description) == (0,) and control.draw is False
