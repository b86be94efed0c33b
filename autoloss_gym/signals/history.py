"""What is known of each run so far: its latest losses, norms and metrics, and their averages."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from autoloss_gym.core.task import Evaluation

DECAY = 0.9  # of the moving averages, per validation
_TINY = 1e-30  # divides the weights of an update that uses no pair


@dataclass
class History:
    """Latest known values of every run; they change only where something was measured.

    Args:
        losses, gradient_norms: of each pair, when it was last optimised.
        losses_refreshed: whether the last update measured them.
        validation: metrics at the last validation.
        averages: exponential moving averages of `validation` and of its first and second
            difference.
        last_difference: the difference between the last two validations.
        past: the deciding metric at this and the preceding validations, newest first; filled with
            the first value.
        best: best value of the deciding metric.
        since_best: validations since then.
        steps: updates since the reset.
        repeats: updates in a row, up to the last, that used one and the same pair alone; counted
            where the task can collapse.
        alone: the pair that the last update used alone, if it did.
        collapsed: runs that one of the task's rules of collapse is about to end, or has ended.
        step_size: factor on the learning rate in the last update; 1 before the first.
        weight_sums: sum over updates of the weights given to each pair, normalised to 1 per update.
    """

    losses: Float[Tensor, "num_envs pairs"]
    gradient_norms: Float[Tensor, "num_envs pairs"]
    losses_refreshed: Bool[Tensor, "num_envs pairs"]
    validation: Float[Tensor, "num_envs metrics"]
    averages: Float[Tensor, "num_envs 3 metrics"]
    last_difference: Float[Tensor, "num_envs metrics"]
    past: Float[Tensor, "num_envs memory"]
    best: Float[Tensor, " num_envs"]
    since_best: Int64[Tensor, " num_envs"]
    steps: Int64[Tensor, " num_envs"]
    repeats: Int64[Tensor, " num_envs"]
    alone: Bool[Tensor, "num_envs pairs"]
    collapsed: Bool[Tensor, " num_envs"]
    step_size: Float[Tensor, " num_envs"]
    weight_sums: Float[Tensor, "num_envs pairs"]

    @classmethod
    def start(
        cls, evaluation: Evaluation, validation: Float[Tensor, "num_envs metrics"], memory: int
    ) -> "History":
        """The history of fresh runs, all of whose losses have been measured once."""
        zeros = torch.zeros_like(validation)
        counts = torch.zeros(len(validation), dtype=torch.int64, device=validation.device)
        return cls(
            losses=evaluation.losses,
            gradient_norms=evaluation.gradient_norms,
            losses_refreshed=evaluation.measured,
            validation=validation,
            averages=torch.stack([validation, zeros, zeros], dim=1),
            last_difference=zeros,
            past=validation[:, :1].repeat(1, memory + 1),
            best=validation[:, 0].clone(),
            since_best=counts,
            steps=counts.clone(),
            repeats=counts.clone(),
            alone=torch.zeros_like(evaluation.measured),
            collapsed=counts.bool(),
            step_size=torch.ones_like(evaluation.losses[:, 0]),
            weight_sums=torch.zeros_like(evaluation.losses),
        )

    @property
    def average(self) -> Float[Tensor, "num_envs metrics"]:
        return self.averages[:, 0]

    @property
    def difference(self) -> Float[Tensor, "num_envs metrics"]:
        return self.averages[:, 1]

    @property
    def second_difference(self) -> Float[Tensor, "num_envs metrics"]:
        return self.averages[:, 2]

    @property
    def pair_shares(self) -> Float[Tensor, "num_envs pairs"]:
        """Average weight of each pair so far: where pairs are chosen, its share of the updates."""
        return self.weight_sums / self.steps.clamp(min=1)[:, None]

    def record_update(
        self,
        evaluation: Evaluation,
        weights: Float[Tensor, "num_envs pairs"],
        step_size: Float[Tensor, " num_envs"],
    ) -> None:
        """Take in what an update measured, the weights that it gave to the pairs, and the factor on
        its learning rate; one that used no pair leaves that as it was.
        """
        measured = evaluation.measured
        self.losses = torch.where(measured, evaluation.losses, self.losses)
        self.gradient_norms = torch.where(measured, evaluation.gradient_norms, self.gradient_norms)
        self.losses_refreshed = measured
        self.step_size = torch.where((weights != 0).any(dim=1), step_size, self.step_size)
        total = weights.sum(dim=1, keepdim=True).clamp(min=_TINY)
        self.weight_sums = self.weight_sums + weights / total
        self.steps = self.steps + 1

    def record_repeats(self, weights: Float[Tensor, "num_envs pairs"], limit: int) -> None:
        """Count how often one pair has been used alone in a row; `limit` times is a collapse.

        An update that uses no pair changes nothing.
        """
        used = weights != 0
        count = used.sum(dim=1)
        one, none = count == 1, count == 0
        # Counted on by an update that uses the same pair alone, and by one that uses none.
        goes_on = none | (one & (used == self.alone).all(dim=1))
        self.repeats = self.repeats * goes_on + one
        self.alone = torch.where(none[:, None], self.alone, used & one[:, None])
        self.collapsed = self.collapsed | (self.repeats >= limit)

    def record_validation(
        self,
        values: Float[Tensor, "num_envs metrics"],
        valid: Bool[Tensor, " num_envs"],
        minimize: bool,
    ) -> Bool[Tensor, " num_envs"]:
        """Take in validation metrics.

        Args:
            values: the metrics; only rows of runs that are `valid` are looked at.
            valid: runs that have been validated, with finite metrics.
            minimize: whether a low value of the deciding metric is good.

        Returns:
            The runs whose deciding metric is a new best.
        """
        rows = valid[:, None]
        difference = values - self.validation
        new = torch.stack([values, difference, difference - self.last_difference], dim=1)
        averages = self.averages * DECAY + new * (1 - DECAY)
        self.averages = torch.where(rows[:, None], averages, self.averages)
        self.last_difference = torch.where(rows, difference, self.last_difference)
        self.validation = torch.where(rows, values, self.validation)
        shifted = torch.cat([self.validation[:, :1], self.past[:, :-1]], dim=1)
        self.past = torch.where(rows, shifted, self.past)

        latest = self.validation[:, 0]
        better = latest < self.best if minimize else latest > self.best
        improved = valid & better
        self.best = torch.where(improved, latest, self.best)
        self.since_best = torch.where(improved, 0, self.since_best + valid)
        return improved
