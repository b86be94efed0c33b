"""Step sizes that depend on progress alone, constant or falling, with all losses as they are."""

from collections.abc import Callable

import numpy as np

from autoloss_gym.controllers.policies.cosine_step import CosineStep
from autoloss_gym.controllers.policies.loss_schedule import LossSchedule
from autoloss_gym.controllers.policy import Policy
from autoloss_gym.controls.schedule import Schedule
from autoloss_gym.core.task import Task

from .kinds import Specification
from .policy import Candidates, Setting

# Ten factors a decade: neighbours are 26 % apart.
FACTORS = tuple(float(f"{factor:.3g}") for factor in np.geomspace(0.01, 100, 41))


def build_step(specification: Specification, setting: Setting) -> Policy | Candidates:
    """A constant factor, or a grid of them."""
    return _one_or_grid(specification, setting, constant_step)


def build_cosine(specification: Specification, setting: Setting) -> Policy | Candidates:
    """Half a cosine with a factor, or with a grid of them."""
    return _one_or_grid(specification, setting, cosine_step)


def constant_step(label: str, factor: float, task: Task) -> LossSchedule:
    """All losses with weight 1, and the same step size at every step."""
    weights = Schedule.constant(len(task.pairs)).weights
    return LossSchedule(label, Schedule(weights=weights, step_size=(factor,)), task.max_steps)


def cosine_step(label: str, factor: float, task: Task) -> CosineStep:
    """All losses with weight 1, and a step size that falls from its factor to 0."""
    return CosineStep(label, factor, len(task.pairs), task.max_steps)


def _one_or_grid(
    specification: Specification, setting: Setting, make: Callable[[str, float, Task], Policy]
) -> Policy | Candidates:
    if specification.value is not None:
        return make(specification.text, specification.value, setting.task)
    kind = specification.kind.name
    grid = [make(f"{kind}:{factor:g}", factor, setting.task) for factor in FACTORS]
    return Candidates(grid, "tuned")
