"""Few decisions: each shifts a schedule of loss weights and step size until the next one."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.controls.checks import (
    check_integers,
    check_shape,
    finite_numbers,
    host_choice,
    is_integer,
    stays_on_device,
)
from autoloss_gym.controls.schedule import Schedule
from autoloss_gym.core.task import Control
from autoloss_gym.signals.description import RunDescription
from autoloss_gym.tools.arguments import build
from autoloss_gym.tools.bounds import BelowOne, Bounds, PositiveInt
from autoloss_gym.tools.fields import check_fields

_Reach = Annotated[float, Bounds("a number above 0 and at most 20", above=0, most=20)]
_Levels = Annotated[int, Bounds("an odd number from 3 to 99", least=3, most=99)]
_MOST_ACTIONS = 10_000  # of a grid


@dataclass(frozen=True, kw_only=True)
class HoldSchedule:
    """Box(-1, 1, (number of pairs,)): a shift of a schedule, which holds until the next decision.

    A step of the environment is one decision, and plays all updates up to the next one. The entries
    of an action shift the logarithms of the weights of all pairs but the first, and of the step
    size; the action 0 plays the base as it is. Up to the first decision, a reset plays the base:
    this pays nothing and ends no run. One that ends between two decisions stays as it is then.

    The infos of a step tell of its updates alone: `inner_steps` (num_envs,) is their number, 0 for
    a run that is only reset, `inner_rewards` (num_envs, validations) and `inner_validation`
    (num_envs, validations, metrics) are what each validation paid and measured, NaN for runs that
    it left out, and `inner_shares` (num_envs, pairs) is each pair's mean share of the weights.

    Args:
        decide_at: shares of a run's updates after which a decision is made, ascending. Each is
            rounded to a validation before the last; shares that fall on the same one are one
            decision.
        every: updates between two decisions, a multiple of the task's `validate_every`, the first
            at the start; it takes the place of `decide_at`.
        base: the schedule that is shifted, a `Schedule` or its two lists; None is plain training.
        weights: whether an action shifts the weights, with all entries but that of the step size.
        step_size: whether an action shifts the step size, with its last entry.
        draw: whether the weights are probabilities, with which one pair is drawn for each update;
            None does so where no two pairs share a parameter block, as weights then do nothing.
        weight_reach: an entry of 1 shifts the logarithm of a weight by so much.
        step_reach: the same for the step size.
        levels: an odd number: actions are then the points of a grid with so many values an entry,
            Discrete(levels ** entries), the last entry fastest.
    """

    decide_at: tuple[BelowOne, ...] = (0.05, 0.2, 0.5)
    every: PositiveInt | None = None
    base: Schedule | Mapping | None = None
    weights: bool = True
    step_size: bool = True
    draw: bool | None = None
    weight_reach: _Reach = 4.0
    step_reach: _Reach = 2.0
    levels: _Levels | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if isinstance(self.base, Mapping):
            object.__setattr__(self, "base", build(Schedule, self.base))
        if not self.decide_at or any(a >= b for a, b in pairwise(self.decide_at)):
            raise ValueError(
                f"decide_at={list(self.decide_at)}: expected at least one share of the updates, in "
                "ascending order"
            )
        if self.levels is not None and self.levels % 2 == 0:
            raise ValueError(
                f"levels={self.levels}: expected an odd number, so that one action is the base"
            )

    def action_space(self, description: RunDescription) -> spaces.Box | spaces.Discrete:
        """The space of one run's action; ValueError where the task has no use for such actions."""
        self.moments(description)
        self.schedule(description)
        size = self.size(description)
        if not size:
            alone = "this task has one pair, and " if self.weights else "with weights=False, "
            raise ValueError(
                f"control='schedule' with step_size=False: {alone}there is nothing to decide"
            )
        if self.levels is None:
            return spaces.Box(-1.0, 1.0, (size,), np.float32)
        if self.levels**size > _MOST_ACTIONS:
            raise ValueError(
                f"levels={self.levels}: {self.levels**size:,} actions; expected at most "
                f"{_MOST_ACTIONS:,}: give fewer levels, or none for a Box"
            )
        return spaces.Discrete(self.levels**size)

    def size(self, description: RunDescription) -> int:
        """Entries of a shift."""
        return self.shifted_weights(description) + self.step_size

    def shifted_weights(self, description: RunDescription) -> int:
        """Entries of a shift that are those of weights."""
        return len(description.pairs) - 1 if self.weights else 0

    def schedule(self, description: RunDescription) -> Schedule:
        """The base, checked against the task's pairs."""
        num_pairs = len(description.pairs)
        base = self.base or Schedule.constant(num_pairs)
        assert isinstance(base, Schedule)
        if base.num_pairs != num_pairs:
            raise ValueError(
                f"base schedule with {base.num_pairs} weights: expected one for each of the "
                f"task's {num_pairs} pairs"
            )
        return base

    def moments(self, description: RunDescription) -> tuple[int, ...]:
        """Numbers of updates after which a decision is made, ascending."""
        if self.every is not None:
            if self.every % description.validate_every:
                raise ValueError(
                    f"every={self.every}: expected a multiple of "
                    f"validate_every={description.validate_every}"
                )
            return tuple(range(0, description.max_steps, self.every))
        validations = description.max_steps // description.validate_every
        found = {min(round(share * validations), validations - 1) for share in self.decide_at}
        return tuple(number * description.validate_every for number in sorted(found))

    def shifts(
        self, description: RunDescription, actions: Any, num_envs: int, device: torch.device
    ) -> Float[Tensor, "num_envs entries"]:
        """Actions as shifts within [-1, 1]; ValueError if they are bad."""
        size = self.size(description)
        if self.levels is None:
            values = finite_numbers(actions, (num_envs, size), "Box action")
            return values.clamp(-1, 1).to(device, torch.float32)
        count = self.levels**size
        if stays_on_device(actions):
            check_shape(tuple(actions.shape), (num_envs,), "Discrete action")
            check_integers(is_integer(actions.dtype), actions.dtype, count)
            chosen = actions.to(torch.int64)
        else:
            chosen = torch.from_numpy(host_choice(actions, num_envs, count)).to(device)
        digits = [chosen // self.levels**place % self.levels for place in reversed(range(size))]
        return torch.stack(digits, dim=1).to(torch.float32) * (2 / (self.levels - 1)) - 1

    def controls(
        self,
        description: RunDescription,
        runs: Int64[Tensor, " num_envs"],
        shifts: Float[Tensor, "num_envs entries"],
        first: int,
        last: int,
    ) -> list[Control]:
        """What is played in the updates `first` … `last` − 1.

        Args:
            description: of the runs: their pairs and number of updates.
            runs: the keys of the runs' draws.
            shifts: what has been decided.
            first: number of updates that all the runs have made.
            last: number that they will have made.
        """
        device = shifts.device
        updates = torch.arange(first, last, dtype=torch.float32, device=device)
        log_weights, log_step = self.schedule(description).logs(updates / description.max_steps)

        others = self.shifted_weights(description)
        moved = torch.zeros_like(shifts[:, :1])
        if others:
            moved = torch.cat([moved, shifts[:, :others]], dim=1) * self.weight_reach
        weights = _normalised(log_weights[:, None, :] + moved)
        if self.step_size:
            log_step = log_step[:, None] + shifts[:, others] * self.step_reach
        else:
            log_step = log_step[:, None].expand(-1, len(shifts))
        step_size = torch.exp(log_step.contiguous())

        draws = not description.shares_blocks if self.draw is None else self.draw
        if draws and len(description.pairs) > 1:
            return _drawn(runs, weights, step_size, first, last)
        parts = zip(weights.unbind(), step_size.unbind(), strict=True)
        return [Control(weights=each, step_size=factor) for each, factor in parts]


def _normalised(logs: Float[Tensor, "updates num_envs pairs"]) -> Tensor:
    """Weights that sum to the number of pairs."""
    weights = torch.exp((logs - logs.amax(dim=2, keepdim=True)).contiguous())
    return weights * (logs.shape[2] / weights.sum(dim=2, keepdim=True))


def _drawn(
    runs: Int64[Tensor, " num_envs"],
    weights: Float[Tensor, "updates num_envs pairs"],
    step_size: Float[Tensor, "updates num_envs"],
    first: int,
    last: int,
) -> list[Control]:
    """One pair for each update and run, drawn with these weights as probabilities."""
    num_pairs = weights.shape[2]
    draws = random.uniform(random.fold_in(runs, "schedule"), (last,))[:, first:].T * num_pairs
    passed = (draws[:, :, None] >= weights.cumsum(dim=2)).sum(dim=2)
    choices = passed.clamp(max=num_pairs - 1)
    pairs = torch.arange(num_pairs, dtype=torch.int64, device=weights.device)
    one_hot = (choices[:, :, None] == pairs).to(torch.float32)

    controls = []
    for index, chosen in enumerate(choices.unbind()):
        on_host = chosen.numpy() if chosen.device.type == "cpu" else None
        controls.append(Control(weights=one_hot[index], step_size=step_size[index], choice=on_host))
    return controls
