"""The online controller of AutoLoss, from its specification."""

from autoloss_gym.controllers.online.settings import OnlineSettings
from autoloss_gym.controllers.policies.online_ppo import OnlinePPO

from .kinds import Specification
from .policy import Setting
from .requirements import check_choice


def build_online_ppo(specification: Specification, setting: Setting) -> OnlinePPO:
    """The controller with the options that were written; without a segment, of one validation.

    Rewards are few in a training of hundreds of updates: with longer segments it learns less.

    Raises:
        ValueError: there is nothing to choose, or a segment ends between validations.
    """
    text, task = specification.text, setting.task
    check_choice(text, task)
    every = task.validate_every
    settings = OnlineSettings(**{"segment": every, **specification.value})
    if settings.segment % every:
        raise ValueError(
            f"policy {text!r}: segment={settings.segment} ends between validations; give a "
            f"multiple of validate_every={every}"
        )
    return OnlinePPO(text, len(task.pairs), task.validation_metrics[0], settings)
