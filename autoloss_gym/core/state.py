"""What a run is made from, and all that belongs to it."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor

from autoloss_gym.core.draws import DrawnAhead
from autoloss_gym.optimizers import OptimizerState
from autoloss_gym.tools import tree

Split = Literal["train", "validation", "test"]
Model = dict[str, dict[str, Shaped[Tensor, "num_envs ..."]]]  # "parameters" and "buffers"


@dataclass
class Keys:
    """What makes a run, 64 bits each.

    Args:
        problem: decides the data.
        run: decides the draws of the run itself: initialisation and mini-batches.
        split: whose problems these are.
    """

    problem: Int64[Tensor, " num_envs"]
    run: Int64[Tensor, " num_envs"]
    split: Split = "train"


@dataclass
class State:
    """All that belongs to a run. Every tensor's first dimension is the run.

    Args:
        keys: the run's problem and draws.
        data: the run's own data, a tree of tensors.
        parameters: packed blocks by name.
        optimizer: the optimizer's state of each block.
        steps: updates since the reset, idle ones included.
        diverged: runs whose loss or gradient was not finite; they take no further step.
        learning_rate_factor: the problem's own factor on every step size; None where it is 1.
        buffers: what a model has beside its parameters, such as running statistics, by name.
        ahead: random numbers of coming steps; they follow from keys and steps.
    """

    keys: Keys
    data: Any
    parameters: dict[str, Float[Tensor, "num_envs _"]]
    optimizer: dict[str, OptimizerState]
    steps: Int64[Tensor, " num_envs"]
    diverged: Bool[Tensor, " num_envs"]
    learning_rate_factor: Float[Tensor, " num_envs"] | None = None
    buffers: dict[str, Shaped[Tensor, "num_envs ..."]] = field(default_factory=dict)
    ahead: DrawnAhead = field(default_factory=DrawnAhead, repr=False, compare=False)

    @property
    def model(self) -> Model:
        """What the figures of a run depend on."""
        return {"parameters": self.parameters, "buffers": self.buffers}

    def with_model(self, model: Model) -> "State":
        """The same runs with another model."""
        return replace(self, parameters=model["parameters"], buffers=model["buffers"])

    def apart(self) -> "State":
        """The same runs, of which an update may change what it changes; data stay shared.

        Gradients flow through it.
        """
        return replace(
            self,
            parameters=tree.clone(self.parameters),
            optimizer=tree.clone(self.optimizer),
            steps=self.steps.clone(),
            diverged=self.diverged.clone(),
        )
