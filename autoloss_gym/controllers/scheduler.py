"""Drives anyone's training loop: which loss to optimise next, with which weights and step size."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from autoloss_gym.controllers.controller import Controller
from autoloss_gym.controllers.loops.decider import Decider
from autoloss_gym.controllers.loops.decision import Decision
from autoloss_gym.controllers.loops.parameters import Blocks
from autoloss_gym.controllers.loops.ranks import shared_decision
from autoloss_gym.controllers.loops.signals import LoopSignals
from autoloss_gym.controllers.loops.told import by_loss, loss_names, metrics_of
from autoloss_gym.controllers.policy import Policy
from autoloss_gym.controls.schedule import Schedule
from autoloss_gym.core.task import Control
from autoloss_gym.tools.bounds import PositiveInt
from autoloss_gym.tools.fields import converted
from autoloss_gym.weightings import WeightingRule

Parameters = nn.Module | Iterable[Tensor] | Mapping[str, Any]


class Scheduler:
    """Decides for one training run, and is told how it goes.

        scheduler = Scheduler(controller, losses=("generator", "discriminator"), max_steps=10_000)
        for step in range(10_000):
            name = scheduler.choose()
            loss = train_on(name)  # forward, backward and a step of the optimizer
            scheduler.record(loss=loss, parameters=models[name].parameters())
            if step % 100 == 99:
                scheduler.validated(validation_error())

    A decision holds until the next `record`: until then, `choose`, `weights` and `step_size` answer
    the same. A controller that observes the run needs every loss and a validation once; up to then
    the losses are taken in turn, or all with weight 1. `begin` tells them before the first update.

    Where `torch.distributed` is initialised, the first rank decides for all; every rank has to make
    the same calls.

    Args:
        controller: a `Controller`; a `Schedule`; a `WeightingRule`; or a policy of one's own.
        losses: their names, in the order of the controller's pairs.
        max_steps: updates of the whole run.
        validate_every: updates between two validations. Default: as often in a run as the
            controller was trained with.
        parameters: what the losses train: a module or parameters. Where the controller was trained
            on several blocks, or where each loss has parameters of its own, a mapping with as
            many: by the names of the losses, or of the controller's blocks, or in their order.
            They are needed for gradient norms that are not told, and by controllers that observe
            "sizes" or "sparsity", as those of `--algo group` do.
        draw: for a schedule or rule, whether `choose` draws one loss for each update, with the
            weights as probabilities.
        seed: of all that is drawn, int64.

    Raises:
        ValueError: one line; the controller does not fit such a run.
    """

    def __init__(
        self,
        controller: Controller | Schedule | WeightingRule | Policy,
        losses: Sequence[str],
        max_steps: int,
        *,
        validate_every: int | None = None,
        parameters: Parameters | None = None,
        draw: bool = False,
        seed: int = 0,
    ) -> None:
        names = loss_names(losses)
        max_steps = converted("max_steps", max_steps, PositiveInt)
        self._decider = Decider(controller, names, max_steps, validate_every, draw, seed)
        self.description = self._decider.description
        self._blocks = Blocks(parameters, self.description)
        self._decider.check_blocks(self._blocks)
        self._signals = LoopSignals(
            self.description, self._decider.features, self._decider.needs_validation
        )
        self._pending: Decision | None = None

    @property
    def steps(self) -> int:
        """Updates that have been recorded."""
        return self._signals.steps

    @property
    def needs_gradient_norms(self) -> bool:
        """Whether the controller looks at gradient norms."""
        return self._decider.needs_norms

    @property
    def needs_validation(self) -> bool:
        """Whether the controller waits for validations."""
        return self._decider.needs_validation

    def choose(self) -> str:
        """The name of the loss to optimise in the next update.

        Raises:
            ValueError: the controller weighs all losses.
        """
        decision = self._decision()
        chosen = decision.chosen
        if chosen is None:
            used = [index for index, weight in enumerate(decision.weights) if weight]
            if len(used) != 1:
                raise ValueError(
                    "choose(): this controller weighs all losses; call weights(), or draw one with "
                    "Scheduler(…, draw=True) where it is a schedule or a rule"
                )
            (chosen,) = used
        return self.description.pairs[chosen]

    def weights(self) -> dict[str, float]:
        """The weight of each loss in the next update, by name; 0 for one that is left out."""
        return dict(zip(self.description.pairs, self._decision().weights, strict=True))

    def step_size(self) -> float:
        """The factor on the learning rate in the next update; 1 where it is not controlled."""
        return self._decision().step_size

    def control(self) -> Control:
        """The decision as tasks take it, of a batch of one."""
        return self._decision().control()

    def begin(
        self,
        losses: Mapping[str, Any] | Sequence[Any],
        gradient_norms: Mapping[str, Any] | Sequence[Any] | None = None,
        validation: Any = (),
    ) -> None:
        """Tell every loss, its gradient norm and the validation metrics before the first update."""
        if self.steps:
            raise ValueError(f"begin() after {self.steps} updates: expected before the first")
        values = by_loss(self.description, "losses", losses)
        self._signals.tell(values, self._norms(gradient_norms))
        if self._decider.needs_validation:
            self.validated(validation)

    def record(
        self,
        loss: Any = None,
        gradient_norm: Any = None,
        *,
        losses: Mapping[str, Any] | Sequence[Any] | None = None,
        gradient_norms: Mapping[str, Any] | Sequence[Any] | None = None,
        parameters: nn.Module | Iterable[Tensor] | None = None,
    ) -> None:
        """Tell what an update has measured, for which its gradients must not be cleared yet.

        The values of a schedule or order, which looks at nothing, are not read, nor those after a
        controller's last decision.

        Args:
            loss: the value of the loss that was chosen.
            gradient_norm: of its gradient, ‖∇‖₂ / √(number of parameters). Default: that in the
                `.grad` of the parameters, as they are now.
            losses, gradient_norms: the same of all losses by name, where all are weighed; those
                of weight 0 may be left out. `gradient_norms(losses)` measures them.
            parameters: what the chosen loss trains, where the scheduler has not been given it.

        Raises:
            ValueError: something is missing that the controller needs.
        """
        decision = self._decision()
        if self._decider.is_watching:
            self._tell(loss, gradient_norm, losses, gradient_norms, parameters)
        self._signals.count_update(decision.step_size)
        self._pending = None

    def validated(self, *metrics: Any) -> None:
        """Tell the validation metrics that the controller was trained with, in their order.

        It is for the controller to know whether a low or a high value is good, see
        `description.validation_metrics`.
        """
        values = metrics_of(self.description, metrics)
        if self._decider.needs_validation and self._decider.is_watching:
            self._signals.validated(values)

    def gradient_norm(
        self, name: str, parameters: nn.Module | Iterable[Tensor] | None = None
    ) -> float:
        """The norm in the `.grad` of what a loss trains, or of these parameters."""
        return self._blocks.norm_in_gradients(name, parameters)

    def gradient_norms(self, losses: Mapping[str, Tensor]) -> dict[str, float]:
        """The gradient norm of each loss, before its graph is freed: one backward pass each."""
        return {name: self._blocks.norm_of(name, loss) for name, loss in losses.items()}

    def state_dict(self) -> dict[str, Any]:
        """All that the rest of the run depends on: tensors and plain values."""
        pending = self._pending
        return {
            "losses": list(self.description.pairs),
            "max_steps": self.description.max_steps,
            "signals": self._signals.state_dict(),
            "decider": self._decider.state_dict(),
            "pending": None if pending is None else dataclasses.asdict(pending),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the state was taken, of a scheduler with the same arguments.

        Raises:
            ValueError: it is of another run.
        """
        own = {"losses": list(self.description.pairs), "max_steps": self.description.max_steps}
        found = {name: state[name] for name in own}
        if found != own:
            raise ValueError(f"state of a scheduler with {found}: expected {own}")
        self._signals.load_state_dict(state["signals"])
        self._decider.load_state_dict(state["decider"])
        pending = state["pending"]
        self._pending = None if pending is None else Decision(**pending)

    def _decision(self) -> Decision:
        if self._pending is None:
            decide = functools.partial(self._decider.decide, self._signals, self._blocks)
            count = len(self.description.pairs)
            if torch.is_autocast_enabled("cpu"):
                # A loop may ask within its own autocast, which would halve the bits of a decision.
                with torch.autocast("cpu", enabled=False):
                    self._pending = shared_decision(decide, count)
            else:
                self._pending = shared_decision(decide, count)
        return self._pending

    def _tell(
        self, loss: Any, gradient_norm: Any, losses: Any, gradient_norms: Any, parameters: Any
    ) -> None:
        """Take in the arguments of `record`."""
        if losses is None:
            name = self.choose()
            if loss is None:
                raise ValueError(f"record(): expected loss=, the value of {name!r}")
            if gradient_norm is None and self._decider.needs_norms:
                gradient_norm = self.gradient_norm(name, parameters)
            losses = {name: loss}
            gradient_norms = None if gradient_norm is None else {name: gradient_norm}
        values = by_loss(self.description, "losses", losses)
        self._signals.tell(values, self._norms(gradient_norms))

    def _norms(self, norms: Any) -> list[float | None]:
        if norms is not None:
            return by_loss(self.description, "gradient_norms", norms)
        if self._decider.needs_norms:
            raise ValueError(
                "gradient_norms=None: this controller observes them; give them, such as "
                "scheduler.gradient_norms(losses) before the backward pass"
            )
        return [None] * len(self.description.pairs)
