"""Environments whose episodes are training runs: choose which loss to optimise next.

Importing this registers the ids `AutoLoss/…`; PyTorch is loaded when an environment or a task is
first used.
"""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from autoloss_gym.registration import register_all, register_task

if TYPE_CHECKING:
    from autoloss_gym.checker import check_task
    from autoloss_gym.controllers.controller import Controller
    from autoloss_gym.controllers.scheduler import Scheduler
    from autoloss_gym.controls.schedule import Schedule
    from autoloss_gym.core.control import Control, Evaluation, Factors
    from autoloss_gym.core.gradient_task import GradientTask
    from autoloss_gym.core.loss import Buffered, ClosedForm
    from autoloss_gym.core.module_task import from_module
    from autoloss_gym.core.modules.task import ModuleTask
    from autoloss_gym.core.task import ImageTask, Keys, Metric, Pair, State, Task
    from autoloss_gym.environment.env import AutoLossEnv
    from autoloss_gym.environment.vector_env import AutoLossVectorEnv
    from autoloss_gym.optimizers import SGD, Adam, BarzilaiBorwein

__version__ = "0.1.0"
__all__ = [
    "SGD",
    "Adam",
    "AutoLossEnv",
    "AutoLossVectorEnv",
    "BarzilaiBorwein",
    "Buffered",
    "ClosedForm",
    "Control",
    "Controller",
    "Evaluation",
    "Factors",
    "GradientTask",
    "ImageTask",
    "Keys",
    "Metric",
    "ModuleTask",
    "Pair",
    "Schedule",
    "Scheduler",
    "State",
    "Task",
    "check_task",
    "compare",
    "from_module",
    "register_task",
]

_HOME = {
    "controllers.controller": ("Controller",),
    "controllers.scheduler": ("Scheduler",),
    "controls.schedule": ("Schedule",),
    "core.loss": ("Buffered", "ClosedForm"),
    "core.control": ("Control", "Evaluation", "Factors"),
    "core.task": ("ImageTask", "Keys", "Metric", "Pair", "State", "Task"),
    "core.gradient_task": ("GradientTask",),
    "core.module_task": ("from_module",),
    "core.modules.task": ("ModuleTask",),
    "optimizers": ("SGD", "Adam", "BarzilaiBorwein"),
    "environment.vector_env": ("AutoLossVectorEnv",),
    "environment.env": ("AutoLossEnv",),
    "checker": ("check_task",),
}
# What the application layer gives, by its module there.
_APPLICATION = {"compare": "evaluation.own_loops.comparison"}


def __getattr__(name: str) -> Any:
    if name in _APPLICATION:
        return getattr(_application(_APPLICATION[name]), name)
    for module, names in _HOME.items():
        if name in names:
            return getattr(importlib.import_module(f"autoloss_gym.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _application(module: str) -> ModuleType:
    """A module of the application layer, which is installed as `autoloss_gym.agents`.

    In a checkout it lies beside this package, as `agents`.
    """
    beside = Path(__file__).parent.parent / "agents" / "__init__.py"
    found = importlib.util.find_spec("agents") if beside.is_file() else None
    if found and found.origin and Path(found.origin).samefile(beside):
        return importlib.import_module(f"agents.{module}")
    try:
        return importlib.import_module(f"autoloss_gym.agents.{module}")
    except ModuleNotFoundError as error:
        if error.name != "autoloss_gym.agents":
            raise
        other = found.origin if found else "nothing"
        raise ImportError(
            f"'agents' is {other} here, expected {beside}: put {beside.parent.parent} first on "
            "PYTHONPATH, or install autoloss_gym"
        ) from None


register_all()
