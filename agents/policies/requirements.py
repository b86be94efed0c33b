"""Checks that a task has what a policy needs; each raises ValueError with one line."""

from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.step_gradients import shared_by_all
from autoloss_gym.core.task import Task


def check_choice(text: str, task: Task) -> None:
    """There are several pairs to choose from."""
    if len(task.pairs) < 2:
        raise ValueError(
            f"policy {text!r}: this task has a single pair, there is nothing to choose"
        )


def check_weights(text: str, task: Task) -> None:
    """Loss weights make a difference."""
    if not task.shares_blocks:
        raise ValueError(
            f"policy {text!r}: every parameter block of {type(task).__name__} has one loss, and "
            "under Adam the weight of a lone loss changes nothing; use a policy that chooses pairs"
        )


def check_shared_block(text: str, task: Task) -> None:
    """Several pairs move some block together, and their gradients by it are handed on."""
    check_choice(text, task)
    check_step_gradients(text, task)
    if not shared_by_all(task.pairs):
        names = ", ".join(pair.name for pair in task.pairs)
        raise ValueError(
            f"policy {text!r}: no parameter block of {type(task).__name__} belongs to all of "
            f"{names}, so there are no gradients to aggregate; use a policy that chooses pairs"
        )


def check_step_gradients(text: str, task: Task) -> None:
    """The task hands on the gradients of a step."""
    if not task.can_reweigh:
        raise ValueError(
            f"policy {text!r}: it weighs by the gradients of a step, which {type(task).__name__} "
            "does not hand on; use a GradientTask"
        )


def check_figures(text: str, figures: str, task: Task) -> None:
    """The task gives what a rule reads of the gradients, see `WeightingRule.gradient_figures`."""
    if figures == "magnitudes":
        check_shared_block(text, task)
    if figures == "kernel_traces":
        check_weights(text, task)
        check_step_gradients(text, task)
        if getattr(type(task), "residuals", None) is GradientTask.residuals:
            raise ValueError(
                f"policy {text!r}: it weighs by neural tangent kernels, and "
                f"{type(task).__name__} gives no residuals(parameters, batch)"
            )


def check_length(text: str, length: int, task: Task) -> None:
    """There is one part of the argument for each pair."""
    if length != len(task.pairs):
        names = ", ".join(pair.name for pair in task.pairs)
        raise ValueError(
            f"policy {text!r} has {length} parts, but the task has {len(task.pairs)} pairs: {names}"
        )
