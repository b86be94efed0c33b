"""A mix-in for the Trainer of Hugging Face that weighs, or chooses, the losses of a training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from autoloss_gym.adapters.loop import Loop, plain_sum
from autoloss_gym.adapters.step_scaling import StepScaling
from autoloss_gym.controllers.scheduler import Scheduler

try:
    from transformers import TrainerCallback
    from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, get_last_checkpoint
except ImportError:
    raise ImportError(
        "autoloss_gym.adapters.transformers needs Transformers: "
        "pip install autoloss_gym[transformers]"
    ) from None

FILE = "loss_scheduler.pt"  # in the folder of a checkpoint


class LossSchedulingMixin:
    """Gives a `transformers.Trainer` several losses, and one who decides how they are optimised.

        class MyTrainer(LossSchedulingMixin, Trainer):
            def compute_losses(self, model, inputs):
                outputs = model(**inputs)
                return {"label": …, "topic": …}, outputs

        trainer = MyTrainer(model, args, loss_scheduler=SoftAdapt(), losses=("label", "topic"), …)

    A trainer that has a `compute_loss` of its own may instead return
    `self.weighted({"label": …, "topic": …})` from it. Where a controller takes one loss at a time,
    `self.choose()` names it, and only that loss has to be computed in the training.

    One update is one step of the optimizer. Beside the Trainer's own `loss` stand, averaged since
    the last log, `loss/…` and `weight/…` of each loss, and `step_size`. Gradient norms are measured
    before clipping. An evaluation takes the plain sum of the losses, and tells the scheduler its
    metrics. The state of the scheduler is written into the folder of each checkpoint, and
    `resume_from_checkpoint` goes on from it.

    Args:
        loss_scheduler: a `Controller`, a `Schedule`, a `WeightingRule`, a policy; or a `Scheduler`.
        losses: their names, in the order of the controller's pairs; none beside a `Scheduler`.
        monitor: names of the evaluation's metrics that the controller is told, in its order.
        arguments: those of the Trainer.

    Raises:
        ValueError: one line; the controller does not fit such a run.
    """

    def __init__(
        self,
        *arguments: Any,
        loss_scheduler: Any,
        losses: Sequence[str] = (),
        monitor: str | Sequence[str] = "eval_loss",
        **keywords: Any,
    ) -> None:
        self._loop = Loop(loss_scheduler, losses, {})
        self._monitor = (monitor,) if isinstance(monitor, str) else tuple(monitor)
        self._scaling = StepScaling()
        self._is_training = False
        self._logs: list[dict[str, float]] = []
        super().__init__(*arguments, **keywords)
        trainer: Any = self
        trainer.add_callback(_Events(trainer))
        if type(self).compute_loss is LossSchedulingMixin.compute_loss:
            # Else the Trainer takes the loss for one that the model has divided by the number of
            # items of all accumulated batches.
            self.model_accepts_loss_kwargs = False

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler of the losses, once the training has begun."""
        return self._loop.scheduler

    def compute_losses(
        self, model: Any, inputs: Mapping[str, Any]
    ) -> tuple[Mapping[str, Tensor], Any]:
        """The losses of a batch by name, and the outputs of the model.

        Default: those that the model gives as `losses` among its outputs.
        """
        outputs = model(**inputs)
        try:
            return outputs["losses"], outputs
        except (KeyError, TypeError, IndexError):
            raise ValueError(
                "the model's outputs have no 'losses': expected a dict of them there, or a method "
                "compute_losses(model, inputs) of the trainer that returns (losses, outputs)"
            ) from None

    def weighted(self, losses: Mapping[str, Tensor]) -> Tensor:
        """The sum of the losses with the weights of this update; in an evaluation, their plain sum.

        Args:
            losses: scalars by name; those that are not chosen may be left out.
        """
        return self._loop.weighted(losses) if self._is_training else plain_sum(losses)

    def choose(self) -> str:
        """The name of the loss to optimise in this update.

        Raises:
            ValueError: the controller weighs all losses, or no update is to come.
        """
        if not self._is_training:
            raise ValueError("choose() outside of the training: compute all losses there")
        return self.scheduler.choose()

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any
    ) -> Tensor | tuple[Tensor, Any]:
        """What the Trainer asks for."""
        losses, outputs = self.compute_losses(model, inputs)
        loss = self.weighted(losses)
        return (loss, outputs) if return_outputs else loss

    def training_step(self, *arguments: Any, **keywords: Any) -> Tensor:
        """A batch; with the last one of an update, tell the update."""
        trainer: Any = self
        above: Any = super()
        self._is_training = True
        try:
            loss = above.training_step(*arguments, **keywords)
        finally:
            self._is_training = False
        if trainer.accelerator.sync_gradients and self._loop.is_pending:
            self._tell_update()
        return loss

    def log(self, logs: dict[str, float], *arguments: Any, **keywords: Any) -> None:
        """Beside the loss of the training, each of the losses and weights."""
        if "loss" in logs and self._logs:
            names = dict.fromkeys(name for each in self._logs for name in each)
            for name in names:
                values = [each[name] for each in self._logs if name in each]
                logs[name] = sum(values) / len(values)
            self._logs = []
        trainer: Any = super()
        trainer.log(logs, *arguments, **keywords)

    def train(
        self, resume_from_checkpoint: str | bool | None = None, *arguments: Any, **keywords: Any
    ) -> Any:
        """Train, with the state of the scheduler that lies in the checkpoint, if any."""
        trainer: Any = self
        folder = resume_from_checkpoint
        if folder is True:
            folder = get_last_checkpoint(trainer.args.output_dir)
        if folder:
            path = Path(folder) / FILE
            if not path.exists():
                raise ValueError(
                    f"{str(folder)!r} holds no {FILE}: expected a checkpoint of a trainer with "
                    "a LossSchedulingMixin"
                )
            self._loop.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        above: Any = super()
        return above.train(resume_from_checkpoint, *arguments, **keywords)

    def _tell_update(self) -> None:
        """Before the Trainer clips gradients, and while a gradient scaler still has them scaled."""
        trainer: Any = self
        scaler = trainer.accelerator.scaler
        scale = 1.0 if scaler is None else scaler.get_scale()
        moved = [each for each in trainer.model.parameters() if each.requires_grad]
        log = self._loop.record(moved, scale)
        self._logs.append(log)
        # Accelerate wraps the optimizer that makes the step.
        optimizer = getattr(trainer.optimizer, "optimizer", trainer.optimizer)
        self._scaling.attach([optimizer])
        self._scaling.set(log["step_size"], optimizer)

    def _begin_losses(self, max_steps: int) -> None:
        trainer: Any = self
        self._loop.begin(max_steps, trainer.model)

    def _tell_validation(self, metrics: Mapping[str, float]) -> None:
        if not self._loop.is_begun:
            return
        missing = [name for name in self._monitor if name not in metrics]
        if missing and not self.scheduler.needs_validation:
            return
        if missing:
            raise ValueError(
                f"monitor={list(self._monitor)}: the evaluation has no {', '.join(missing)}; "
                f"expected of {', '.join(metrics)}"
            )
        self.scheduler.validated(*[metrics[name] for name in self._monitor])

    def _save_state_of_losses(self, output_dir: str, step: int) -> None:
        folder = Path(output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{step}"
        if folder.exists():
            torch.save(self._loop.state_dict(), folder / FILE)


class _Events(TrainerCallback):
    """Brings what happens to the Trainer to its mix-in."""

    def __init__(self, trainer: LossSchedulingMixin) -> None:
        self._trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._trainer._begin_losses(state.max_steps)

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Mapping[str, float], **_: Any
    ) -> None:
        self._trainer._tell_validation(metrics)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if args.should_save:
            self._trainer._save_state_of_losses(args.output_dir, state.global_step)
