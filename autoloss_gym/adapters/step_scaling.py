"""A step size that is controlled, in optimizers that another library steps."""

from typing import Any

from torch.optim import Optimizer


class StepScaling:
    """Multiplies the learning rates of optimizers for one step each.

    The rates are what they were before and after every step: schedulers of learning rates, logs
    and checkpoints never see the factor.
    """

    def __init__(self) -> None:
        self._coming: dict[int, float] = {}  # factors that wait for a step
        self._within: set[int] = set()  # optimizers whose step is under way
        self._rates: dict[int, list[Any]] = {}
        self._handles: dict[int, tuple[Any, Any]] = {}

    def attach(self, optimizers: list[Optimizer]) -> None:
        """Follow these optimizers, which may be known already."""
        for optimizer in optimizers:
            if id(optimizer) not in self._handles:
                before = optimizer.register_step_pre_hook(self._before)
                after = optimizer.register_step_post_hook(self._after)
                self._handles[id(optimizer)] = before, after

    def detach(self) -> None:
        """Follow no optimizer any more."""
        for handles in self._handles.values():
            for handle in handles:
                handle.remove()
        self._handles.clear()
        self._coming.clear()
        self._within.clear()

    def set(self, factor: float, optimizer: Optimizer) -> None:
        """The factor of this optimizer's step: the coming one, or that which is under way.

        Lightning computes gradients within the step, but before it when a gradient scaler may
        leave the step out; then the factor waits for a step that is made.
        """
        if id(optimizer) in self._within:
            self._scale(optimizer, factor)
        else:
            self._coming[id(optimizer)] = factor

    def _before(self, optimizer: Optimizer, *_: Any) -> None:
        self._within.add(id(optimizer))
        self._scale(optimizer, self._coming.pop(id(optimizer), 1.0))

    def _after(self, optimizer: Optimizer, *_: Any) -> None:
        self._within.discard(id(optimizer))
        self._restore(optimizer)

    def _scale(self, optimizer: Optimizer, factor: float) -> None:
        self._restore(optimizer)
        if factor != 1.0:
            rates = [group["lr"] for group in optimizer.param_groups]
            self._rates[id(optimizer)] = rates
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor

    def _restore(self, optimizer: Optimizer) -> None:
        rates = self._rates.pop(id(optimizer), [])
        for group, rate in zip(optimizer.param_groups, rates, strict=False):
            group["lr"] = rate
