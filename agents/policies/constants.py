"""The plainest of all controllers: constant weights or probabilities, and a constant step size."""

from collections.abc import Sequence

from autoloss_gym.controllers.policies.loss_schedule import LossSchedule
from autoloss_gym.controllers.policies.open_loop import OpenLoop
from autoloss_gym.controllers.policies.static import FixedWeights, RandomPair
from autoloss_gym.controllers.policy import Policy

from ..configuration import WITH_POLICY
from .grammar import parse_specification
from .kinds import Specification

SEARCH = "constant:20"  # what a trained policy has to beat
_SEARCHES = ("constant", "grid", "random")


def is_constant(policy: Policy) -> bool:
    """Whether it does the same at every step, apart from what it draws."""
    if isinstance(policy, LossSchedule):
        return len(policy.schedule.weights) == 1
    if isinstance(policy, OpenLoop):
        return len(policy.knots) == 1
    return isinstance(policy, FixedWeights | RandomPair)


def with_constant(specifications: Sequence[Specification]) -> list[Specification]:
    """The specifications, and where they hold a trained policy but no search of a constant, one."""
    searched = any(
        each.kind.name in _SEARCHES and not _is_written_out(each) for each in specifications
    )
    trained = any(each.kind.name in (*WITH_POLICY, "controller") for each in specifications)
    added = [parse_specification(SEARCH)] if trained and not searched else []
    return [*specifications, *added]


def _is_written_out(specification: Specification) -> bool:
    """Whether it is one constant, as random:0.3 is."""
    return specification.kind.name == "random" and specification.value is not None
