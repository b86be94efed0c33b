"""Action spaces: how an action of an agent becomes what the task does next."""

from autoloss_gym.controls.action_control import ActionControl
from autoloss_gym.controls.checks import checked_control, idle
from autoloss_gym.controls.choose_pair import ChoosePair
from autoloss_gym.controls.hold_schedule import HoldSchedule
from autoloss_gym.controls.scale_step import ScaleStep, continued
from autoloss_gym.controls.weigh_losses import WeighLosses

CONTROLS: dict[str, type[ActionControl | HoldSchedule]] = {
    "pair": ChoosePair,
    "weights": WeighLosses,
    "step_size": ScaleStep,
    "schedule": HoldSchedule,
}

__all__ = [
    "CONTROLS",
    "ActionControl",
    "ChoosePair",
    "HoldSchedule",
    "ScaleStep",
    "WeighLosses",
    "checked_control",
    "continued",
    "idle",
]
