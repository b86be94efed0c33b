"""The online controller of AutoLoss, from its specification."""

from autoloss_gym.controllers.online.settings import OnlineSettings
from autoloss_gym.controllers.policies.online_ppo import OnlinePPO
from autoloss_gym.core.task import Task

from .kinds import Specification
from .policy import Setting
from .requirements import check_choice

_SEGMENT = OnlineSettings().segment  # where validations allow it


def build_online_ppo(specification: Specification, setting: Setting) -> OnlinePPO:
    """The controller with the options that were written."""
    text, task = specification.text, setting.task
    check_choice(text, task)
    options = dict(specification.value)
    options["segment"] = _segment(text, options.get("segment"), task)
    metric = task.validation_metrics[0]
    return OnlinePPO(text, len(task.pairs), metric, OnlineSettings(**options))


def _segment(text: str, written: int | None, task: Task) -> int:
    """Updates between two rewards: what was written, or about the default."""
    every = task.validate_every
    if written is None:
        return every * max(1, round(_SEGMENT / every))
    if written % every:
        raise ValueError(
            f"policy {text!r}: segment={written} ends between validations; give a multiple of "
            f"validate_every={every}"
        )
    return written
