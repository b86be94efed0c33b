"""What an online controller is told: the numbers of its learning and of its reward."""

from dataclasses import dataclass

from autoloss_gym.tools.bounds import BelowOne, NonNegativeFloat, PositiveFloat, PositiveInt, Share
from autoloss_gym.tools.fields import check_fields


@dataclass(frozen=True, kw_only=True)
class OnlineSettings:
    """Numbers of proximal policy optimization, and of the reward of AutoLoss §4.4.

    Args:
        segment: updates of the task for which a reward is paid, T of `Improvement`: a multiple of
            those between two validations.
        buffer: decisions after which the controller learns from them, and forgets them. The paper's
            is 2,000, which is more than a training of ours has. Of 50, 100 and 200 with 4 or 10
            epochs, 50 with 10 left the least error on problems of both tasks that were tried.
        batch: decisions of a gradient step.
        epochs: times that it goes through the decisions.
        window: segments whose mean gain a gain is relative to, k of `Improvement`.
        floor: least mean gain.
        learning_rate: of Adam, for both networks.
        gamma: discount of a decision.
        trace: λ of generalized advantage estimation.
        clip: change of a probability's ratio that still counts.
        entropy: weight of the entropy of the choices.
    """

    segment: PositiveInt
    buffer: PositiveInt = 50
    batch: PositiveInt = 64
    epochs: PositiveInt = 10
    window: PositiveInt = 5
    floor: PositiveFloat = 1e-3
    learning_rate: PositiveFloat = 1e-3
    gamma: Share = 0.95
    trace: Share = 0.95
    clip: BelowOne = 0.2
    entropy: NonNegativeFloat = 0.01

    def __post_init__(self) -> None:
        check_fields(self)
