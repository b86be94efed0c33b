"""Aggregators of gradients from their specifications."""

from autoloss_gym.controllers.policies.aggregation import AggregationPolicy

from .kinds import Specification
from .policy import Setting
from .requirements import check_shared_block


def build_aggregation(specification: Specification, setting: Setting) -> AggregationPolicy:
    """The aggregator of a row of the table, for a task whose pairs share a block.

    Raises:
        ValueError: they share none, or TorchJD or what it needs is not installed.
    """
    text = specification.text
    check_shared_block(text, setting.task)
    name = specification.kind.name
    arguments = {"c": specification.value} if name == "cagrad" else {}
    try:
        return AggregationPolicy(text, name, arguments)
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"policy {text!r}: it needs TorchJD ({reason}): pip install 'autoloss_gym[mtl]'"
        ) from error
