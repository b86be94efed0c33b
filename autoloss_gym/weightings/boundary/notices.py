"""Warnings that a rule gives once in its life."""

import sys
import warnings
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from autoloss_gym.weightings.measurements import Measurements

_INSIDE = ("autoloss_gym", "torch", "jaxtyping", "beartype")  # the last two check tests


@dataclass
class Notices:
    """What some run has met and the user should know, each told once.

    It is told at once where the host knows it. On a device other than the CPU it waits for the next
    call of `tell` that may wait, because looking at every call would make the host wait for the
    device.
    """

    _noted: dict[str, Tensor | bool] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    def note(self, line: str, met: Tensor | bool) -> None:
        """Tell `line` if `met`, one truth value, is true or was at an earlier call."""
        if line not in self._told:
            self._noted[line] = met | self._noted.get(line, False)

    def tell(self, *, wait: bool) -> None:
        """Warn of what is due, at the line of the user's that led here.

        Args:
            wait: whether the host may wait for a device.
        """
        if not self._noted:
            return
        known = [line for line, met in self._noted.items() if wait or not _is_elsewhere(met)]
        for line in known:
            if bool(self._noted.pop(line)):
                self._told.add(line)
                text = f"{line} (this warning appears once)"
                warnings.warn(text, RuntimeWarning, stacklevel=_levels_to_user())


def note_losses(
    notices: Notices, rule: Any, measured: Measurements, failed: Tensor | None, least: float
) -> None:
    """Note what is wrong with the losses of some run.

    Args:
        notices: of the rule.
        rule: for which they were measured.
        measured: what it will learn from.
        failed: runs with values that are not finite; None if there are none.
        least: the least loss; NaN where the host does not know it.
    """
    losses, name = measured.losses, type(rule).__name__
    if failed is not None:
        replacement = "equal weights" if rule.prior is None else "the prior"
        notices.note(
            f"{name}: losses or gradient norms of some run are not finite; such a run gets "
            f"{replacement}",
            failed.any(),
        )
    if rule.negative_losses and not least >= 0:
        negative = (losses < 0) & measured.refreshed
        notices.note(f"{name}: a loss is negative; {rule.negative_losses}", negative.any())
    runs, count = losses.shape
    if count == 1 and runs > 1:
        notices.note(
            f"{name}: losses of shape ({runs}, 1) are {runs} runs of one loss each; for {runs} "
            f"losses of one model give shape ({runs},)",
            True,
        )


def _is_elsewhere(met: Tensor | bool) -> bool:
    return isinstance(met, Tensor) and met.device.type != "cpu"


def _levels_to_user() -> int:
    """The `stacklevel` for `tell` of the nearest line that is neither ours nor PyTorch's.

    How many calls are between depends on whether the rule is a part of a model, and compiled.
    """
    frame = sys._getframe(1)
    level = 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _INSIDE:
        frame = frame.f_back
        level += 1
    return level
