"""Checks that a task has what a policy needs; each raises ValueError with one line."""

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


def check_length(text: str, length: int, task: Task) -> None:
    """There is one part of the argument for each pair."""
    if length != len(task.pairs):
        names = ", ".join(pair.name for pair in task.pairs)
        raise ValueError(
            f"policy {text!r} has {length} parts, but the task has {len(task.pairs)} pairs: {names}"
        )
