"""A callback of Lightning that weighs, or chooses, the losses of a training."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from autoloss_gym.adapters.loop import Loop, plain_sum
from autoloss_gym.adapters.step_scaling import StepScaling
from autoloss_gym.controllers.scheduler import Scheduler

try:
    from lightning.pytorch.callbacks import Callback
except ImportError:  # the package of the same trainer with an older name
    try:
        from pytorch_lightning.callbacks import Callback
    except ImportError:
        raise ImportError(
            "autoloss_gym.adapters.lightning needs Lightning: pip install autoloss_gym[lightning]"
        ) from None


class LossScheduler(Callback):
    """Decides how the losses of a LightningModule are optimised, and is told how it goes.

        trainer = Trainer(callbacks=[LossScheduler(SoftAdapt(), losses=("fit", "sparse"))])

    The module finds it as `self.loss_scheduler`; one line of it changes:

        def training_step(self, batch, batch_idx):
            …
            return self.loss_scheduler.weighted({"fit": fit, "sparse": sparse})

    Where a controller takes one loss at a time, `self.loss_scheduler.choose()` names it, and only
    that loss has to be computed. With an optimizer for each loss, the module optimises manually,
    as Lightning asks: `self.manual_backward(self.loss_scheduler.weighted({name: loss}))`.

    One update is one step of an optimizer. `loss/…`, `weight/…` and `step_size` are logged at each,
    the losses averaged over the batches that were accumulated; gradient norms are measured before
    clipping. The state of the scheduler travels in the checkpoints of the trainer.

    Args:
        controller: a `Controller`, a `Schedule`, a `WeightingRule`, a policy; or a `Scheduler`.
        losses: their names, in the order of the controller's pairs; none beside a `Scheduler`.
        monitor: names of the logged validation metrics that the controller is told, in its order.
        max_steps: updates of the whole run. Default: those that the trainer will make.
        options: further arguments of `Scheduler`: validate_every, parameters, draw, seed. What the
            losses train is, by default, what the optimizer moves.

    Raises:
        ValueError: one line; the controller does not fit such a run.
    """

    def __init__(
        self,
        controller: Any,
        losses: Sequence[str] = (),
        *,
        monitor: str | Sequence[str] = (),
        max_steps: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self._loop = Loop(controller, losses, options)
        self._monitor = (monitor,) if isinstance(monitor, str) else tuple(monitor)
        self._max_steps = max_steps
        self._scaling = StepScaling()
        self._trainer: Any = None
        self._factor = 1.0

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler, once the training has begun."""
        return self._loop.scheduler

    def weighted(self, losses: Mapping[str, Tensor]) -> Tensor:
        """The loss to go back from: the sum of the losses with the weights of this update.

        Outside of the training, as in a validation, it is their plain sum.

        Args:
            losses: scalars by name; those that are not chosen may be left out.
        """
        if not self._is_training:
            return plain_sum(losses)
        return self._loop.weighted(losses)

    def choose(self) -> str:
        """The name of the loss to optimise in this update.

        Raises:
            ValueError: the controller weighs all losses, or no update is to come.
        """
        if not self._is_training:
            raise ValueError("choose() outside of the training: expected in training_step alone")
        return self.scheduler.choose()

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Let the module find it."""
        self._trainer = trainer
        pl_module.loss_scheduler = self

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Leave the module and its optimizers."""
        self._trainer = None
        self._scaling.detach()
        if getattr(pl_module, "loss_scheduler", None) is self:
            del pl_module.loss_scheduler

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Make the scheduler for as many updates as the trainer will make."""
        steps = self._max_steps
        if steps is None and not self._loop.is_begun:
            steps = trainer.estimated_stepping_batches
            if not isinstance(steps, int) or steps < 1:
                raise ValueError(
                    f"the trainer will make {steps} updates: expected a number; give "
                    "LossScheduler(…, max_steps=…), or max_steps or max_epochs to the trainer"
                )
        self._loop.begin(steps or 1, pl_module)
        if self.scheduler.needs_validation and not self._monitor:
            raise ValueError(
                "monitor=(): this controller looks at validations; give the names of the metrics "
                "that validation_step logs, such as monitor='val_loss'"
            )
        self._scaling.attach(trainer.optimizers)

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """Tell the update, whose gradients are complete and unscaled."""
        if self._loop.is_pending:
            groups = optimizer.param_groups
            moved = [parameter for group in groups for parameter in group["params"]]
            log = self._loop.record(moved)
            self._factor = log["step_size"]
            for name, value in log.items():
                pl_module.log(name, value)
        # A second optimizer that steps for the same losses takes the same step size.
        self._scaling.set(self._factor, optimizer)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Tell the metrics of a validation."""
        if trainer.sanity_checking or not self._loop.is_begun or not self._monitor:
            return
        known = trainer.callback_metrics
        missing = [name for name in self._monitor if name not in known]
        if missing:
            raise ValueError(
                f"monitor={list(self._monitor)}: {', '.join(missing)} was not logged; expected of "
                f"{', '.join(sorted(known))}"
            )
        self.scheduler.validated(*[known[name] for name in self._monitor])

    def state_dict(self) -> dict[str, Any]:
        """That of the scheduler, for the checkpoint."""
        return self._loop.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the checkpoint was written."""
        self._loop.load_state_dict(state_dict)

    @property
    def _is_training(self) -> bool:
        return self._trainer is not None and self._trainer.training
