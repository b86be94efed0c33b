"""What a task is: a batched tensor program that trains `num_envs` models at once."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.core.control import Control, Evaluation
from autoloss_gym.core.state import Keys, Split, State
from autoloss_gym.tools.bounds import BelowOne, NonNegativeInt, PositiveInt
from autoloss_gym.tools.fields import check_fields
from autoloss_gym.tools.names import shown

Part = Literal["train", "validation"]  # of a run's data


@dataclass(frozen=True)
class Pair:
    """An arm of the alternating optimisation (AutoLoss, Eq. 1): a loss and what its step changes.

    Args:
        loss: name of the loss.
        blocks: names of the parameter blocks; those of different pairs may overlap.
        cheap: whether the loss is computed for all runs and masked (the default), or, on the CPU,
            only for the runs that chose it. Elsewhere finding these would make the host wait for
            the device. A loss must therefore be finite, with finite gradients, at the parameters of
            runs that did not choose it.
    """

    loss: str
    blocks: tuple[str, ...]
    cheap: bool = True

    def __post_init__(self) -> None:
        # Not by `check_fields`: a task may make its pairs anew at each, possibly compiled, step.
        names = self.blocks if isinstance(self.blocks, tuple) else ()
        if not (names and all(isinstance(name, str) for name in names)):
            raise ValueError(
                f"blocks={shown(self.blocks)}: expected a tuple of names, such as ('net',)"
            )
        if not isinstance(self.loss, str) or not isinstance(self.cheap, bool):
            raise ValueError(
                f"loss={shown(self.loss)}, cheap={shown(self.cheap)}: expected a name, and True or "
                "False"
            )

    @property
    def name(self) -> str:
        return self.loss


@dataclass(frozen=True)
class Metric:
    """A named figure, the direction in which it improves, and its value for a failed run."""

    name: str
    minimize: bool = True
    worst: float = float("inf")

    def __post_init__(self) -> None:
        is_number = isinstance(self.worst, int | float) and not isinstance(self.worst, bool)
        if not (isinstance(self.name, str) and isinstance(self.minimize, bool) and is_number):
            raise ValueError(
                f"Metric({shown(self.name)}, minimize={shown(self.minimize)}, "
                f"worst={shown(self.worst)}): expected a name, True or False, and a number"
            )


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """A family of training problems; an instance of it is its hyper-parameters.

    Args:
        max_steps: updates in a run, a multiple of `validate_every`.
        validate_every: updates between two validations.
        patience: validations without a new best after which the run ends; 0 means never.
        collapse_repeats: updates in a row of one and the same pair alone after which the run has
            collapsed and ends at the next validation; 0 means never.
        collapse_share: a run whose deciding metric is under this share of its best has collapsed,
            or where it is minimised, whose best is under this share of it; 0 means never. For
            metrics that are positive.
    """

    # What episodes differ in: "problems", or "resamples" of one data set.
    instances: ClassVar[str] = "problems"
    # Named sets of arguments.
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    # Arguments of rewards, by the reward's name, where the reward's own defaults do not suit.
    reward_arguments: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    # Whether there is an argument `train_on_validation`, which fits both parts together.
    can_train_on_validation: ClassVar[bool] = False
    # Whether `update` calls `control.reweigh`.
    can_reweigh: ClassVar[bool] = False

    max_steps: PositiveInt = 1000
    validate_every: PositiveInt = 10
    patience: NonNegativeInt = 0
    collapse_repeats: NonNegativeInt = 0
    collapse_share: BelowOne = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.max_steps % self.validate_every:
            raise ValueError(
                f"max_steps={self.max_steps}: expected a positive multiple of "
                f"validate_every={self.validate_every}, because episodes end only where a "
                "validation is due"
            )

    @property
    @abstractmethod
    def pairs(self) -> tuple[Pair, ...]:
        """The arms, in the order of the actions."""

    @property
    @abstractmethod
    def validation_metrics(self) -> tuple[Metric, ...]:
        """What `validate` returns, the first deciding which parameters are the best so far."""

    @property
    @abstractmethod
    def score_metrics(self) -> tuple[Metric, ...]:
        """What `score` returns; the first is the figure of merit. Each has a finite worst value."""

    @property
    def shares_blocks(self) -> bool:
        """Whether some block belongs to several pairs.

        Where none does, weighing the losses changes nothing: under Adam, the weight of a lone loss
        has no effect.
        """
        blocks = [block for pair in self.pairs for block in pair.blocks]
        return len(set(blocks)) < len(blocks)

    @property
    def weight_groups(self) -> tuple[tuple[str, ...], ...]:
        """Names of pairs to which a grid gives one weight, the first group the weight 1."""
        return tuple((pair.name,) for pair in self.pairs)

    @abstractmethod
    def reset(self, keys: Keys) -> State:
        """Start runs; every number of a run follows from its keys."""

    @abstractmethod
    def measure(self, state: State) -> Evaluation:
        """Measure every loss and gradient norm without moving anything."""

    @abstractmethod
    def update(
        self, state: State, control: Control, *, differentiable: bool = False
    ) -> tuple[State, Evaluation]:
        """One optimizer step of every run.

        Args:
            state: consumed, its buffers are reused; keep a `tree.clone` to use it again.
            control: which pairs, with which weights and step size.
            differentiable: leave `state` alone and keep the graph from `control` and
                `state.parameters`.
        """

    @abstractmethod
    def validate(self, state: State) -> Float[Tensor, "num_envs metrics"]:
        """Validation metrics of these runs, which may be any subset of a batch."""

    @abstractmethod
    def score(self, state: State) -> Float[Tensor, "num_envs metrics"]:
        """Figures of merit on data that no decision has seen."""

    @abstractmethod
    def extra(self, state: State) -> Float[Tensor, "num_envs extras"]:
        """Task features, each within [-1, 1], that end the observation; (num_envs, 0) for none."""

    def collapsed(self, state: State) -> Bool[Tensor, " num_envs"] | None:
        """Runs that a rule of the task's own ends at this validation; None where it has no rule."""
        return None

    def gradients(self, state: State) -> tuple[dict[str, Float[Tensor, "num_envs _"]], ...]:
        """Each pair's gradient by its blocks, by name, for the next update; nothing moves.

        A task need not have them: only added groups of features ask for them.
        """
        raise ValueError(f"{type(self).__name__} gives no gradients: write gradients(state)")

    def objective(self, state: State, part: Part = "train") -> Float[Tensor, " num_envs"]:
        """What the run wants to be small, with its graph, so that step sizes can be tuned by it.

        Args:
            state: as after an update with `differentiable=True`.
            part: "train" for the first loss, on what the next update would see of the training
                data; "validation" for the first metric that is minimised, because accuracies have
                no gradient.
        """
        raise ValueError(f"{type(self).__name__} gives no objective: write objective(state, part)")

    def log_objective(self, state: State, part: Part = "train") -> Float[Tensor, " num_envs"]:
        """The logarithm of the objective; a task whose objective overflows writes it itself."""
        return torch.log(self.objective(state, part))

    def log_root_objective(self, state: State, part: Part = "train") -> Float[Tensor, " num_envs"]:
        """(1/T) · log of the objective, with T the number of updates of each run."""
        return self.log_objective(state, part) / self.max_steps

    @property
    def data_digest(self) -> str:
        """SHA-256 of the data set that all runs share; "" where the task makes its data."""
        return ""

    @property
    def uncompilable(self) -> str:
        """Why PyTorch cannot compile the updates; "" where it can."""
        return ""

    def remarks(self, split: Split) -> tuple[str, ...]:
        """Lines that belong under a table of results on this split, such as the data's target."""
        return ()


class ImageTask(Task):
    """A task whose models make images."""

    @abstractmethod
    def samples(
        self, state: State, count: int
    ) -> Float[Tensor, "num_envs count height width channels"]:
        """Images in [0, 1], always the same ones for the same parameters of a run."""
