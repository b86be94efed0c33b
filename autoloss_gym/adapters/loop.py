"""One update of another library's training loop, as a `Scheduler` is asked and told of it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from autoloss_gym.controllers.scheduler import Scheduler
from autoloss_gym.tools.names import shown


class Loop:
    """What the adapters of training loops share.

    An update is one step of an optimizer. Until it comes, the losses of several batches are taken
    together, as gradient accumulation does with their gradients.

    Args:
        controller: as of `Scheduler`, or a `Scheduler`.
        losses: their names; none where a `Scheduler` is given.
        options: further arguments of `Scheduler`, without max_steps.
    """

    def __init__(self, controller: Any, losses: Sequence[str], options: Mapping[str, Any]) -> None:
        given = isinstance(controller, Scheduler)
        if given and (losses or options):
            raise ValueError(
                f"losses={list(losses)}, {', '.join(options) or 'no options'} beside a Scheduler: "
                "expected a Scheduler alone, or what it is made of"
            )
        if not given and (isinstance(losses, str) or not losses):
            raise ValueError(f"losses={losses!r}: expected the names of the losses, such as ('a',)")
        self._scheduler: Scheduler | None = controller if given else None
        self._controller = controller
        self._losses = tuple(losses)
        self._options = dict(options)
        # Given by the user, these blocks are what a loss trains; else, those of the optimizer are.
        self._has_blocks = given or options.get("parameters") is not None
        self._loaded: Mapping[str, Any] | None = None
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._norms: dict[str, float] = {}

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler, once the training has begun."""
        if self._scheduler is None:
            raise ValueError("the scheduler is made when the training begins: ask for it then")
        return self._scheduler

    @property
    def is_begun(self) -> bool:
        """Whether there is a scheduler."""
        return self._scheduler is not None

    @property
    def is_pending(self) -> bool:
        """Whether losses have been weighed since the last update."""
        return bool(self._sums)

    def begin(self, max_steps: int, model: nn.Module) -> None:
        """Make the scheduler, where there is none yet, and take in the state that was loaded."""
        if self._scheduler is None:
            options = dict(self._options)
            if options.get("parameters") is None and _num_blocks(self._controller) <= 1:
                trained = [each for each in model.parameters() if each.requires_grad]
                options["parameters"] = trained or None
            self._scheduler = Scheduler(self._controller, self._losses, max_steps, **options)
        if self._loaded is not None:
            self._scheduler.load_state_dict(self._loaded)
            self._loaded = None

    def weighted(self, losses: Mapping[str, Tensor]) -> Tensor:
        """The sum of the losses with the weights of this update, a scalar.

        Args:
            losses: scalars by name; those of weight 0 may be left out.
        """
        scheduler = self.scheduler
        used = {name: weight for name, weight in scheduler.weights().items() if weight}
        self._check(losses, used)
        terms = {name: losses[name] for name in used}
        if scheduler.needs_gradient_norms and len(used) > 1:
            for name, norm in scheduler.gradient_norms(terms).items():
                self._norms[name] = self._norms.get(name, 0.0) + norm
        for name, loss in losses.items():
            known = self._sums.get(name)
            self._sums[name] = loss.detach() if known is None else known + loss.detach()
            self._counts[name] = self._counts.get(name, 0) + 1
        return _total([weight * terms[name] for name, weight in used.items()])

    def record(self, parameters: Iterable[Tensor], scale: float = 1.0) -> dict[str, float]:
        """Tell the update, whose gradients are in `.grad`.

        Args:
            parameters: what its optimizer moves.
            scale: factor on the gradients, to be taken out of their norm.

        Returns:
            What is to be logged: `loss/…` and `weight/…` of each loss, `step_size`.
        """
        scheduler = self.scheduler
        weights = scheduler.weights()
        log = {f"weight/{name}": weight for name, weight in weights.items()}
        log["step_size"] = scheduler.step_size()
        names = list(self._sums)
        # The losses of an update in one transfer: each alone would let the host wait for it.
        sums = torch.stack([self._sums[name].float() for name in names]).tolist()
        means = {name: total / self._counts[name] for name, total in zip(names, sums, strict=True)}
        log |= {f"loss/{name}": value for name, value in means.items()}
        used = [name for name in weights if weights[name]]
        told = {name: means[name] for name in used}
        norms: dict[str, float] | None = None
        if self._norms:
            norms = {name: self._norms[name] / self._counts[name] for name in self._norms}
        if len(used) == 1 and scheduler.needs_gradient_norms:
            own = None if self._has_blocks else list(parameters)
            norms = {used[0]: scheduler.gradient_norm(used[0], own) / scale}
        scheduler.record(losses=told, gradient_norms=norms)
        self._forget()
        return log

    def state_dict(self) -> dict[str, Any]:
        """That of the scheduler; empty before the training."""
        return self._scheduler.state_dict() if self._scheduler else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state, at once or as soon as there is a scheduler."""
        self._forget()
        if not state:
            return
        if self._scheduler is None:
            self._loaded = state
        else:
            self._scheduler.load_state_dict(state)

    def _forget(self) -> None:
        self._sums, self._counts, self._norms = {}, {}, {}

    def _check(self, losses: Mapping[str, Tensor], used: Mapping[str, float]) -> None:
        names = self.scheduler.description.pairs
        unknown = [name for name in losses if name not in names]
        missing = [name for name in used if name not in losses]
        if unknown or missing:
            raise ValueError(
                f"losses of {', '.join(map(shown, losses)) or 'nothing'}: expected of "
                f"{', '.join(names)} at least those in use, {', '.join(used)}"
            )
        for name, loss in losses.items():
            if not isinstance(loss, Tensor) or loss.dim():
                got = tuple(loss.shape) if isinstance(loss, Tensor) else shown(loss)
                raise ValueError(f"loss {name!r} is {got}: expected a tensor with no dimension")


def plain_sum(losses: Mapping[str, Tensor]) -> Tensor:
    """The sum of losses, which is comparable over a training whatever the weights are."""
    return _total(list(losses.values()))


def _total(terms: Sequence[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _num_blocks(controller: Any) -> int:
    description = getattr(controller, "description", None)
    blocks = getattr(description, "blocks", ())
    return len({name for pair in blocks for name in pair})
