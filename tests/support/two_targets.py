"""A task whose best weights are known: two losses pull one number, and each problem has a target.

Loss left is (a − 1)² and loss right is (a + 1)². With weights w and 2 − w they are least at
a = w − 1, where every update arrives at once, whatever the step size. A clock makes every validation
the best so far: only the last weights count, and no schedule can try both targets.
"""

from dataclasses import dataclass, field

import torch

from autoloss_gym import random
from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.task import Metric, Pair
from autoloss_gym.optimizers import Optimizer

WIDTH = 0.1  # to either side of a target, within which nothing is lost


@dataclass(frozen=True, kw_only=True)
class Jump(Optimizer):
    """Goes to the minimum of the losses' weighted sum."""

    learning_rate: float = 0.25  # one over its second derivative

    def init(self, parameters):
        return {"steps": parameters.new_zeros(len(parameters), dtype=torch.int64)}

    def update(self, parameters, gradients, state, active, step_size):
        state["steps"].add_(active)
        parameters.sub_(torch.where(active[:, None], self.learning_rate * gradients, 0.0))


@dataclass(frozen=True, kw_only=True)
class TwoTargets(GradientTask):
    """The error is the squared distance of a to the problem's target beyond `WIDTH`.

    Args:
        target: of every problem; or with `either`, target and −target in turn.
        either: whether problems differ, which shows in the losses.
    """

    target: float = 0.5
    either: bool = False
    max_steps: int = 8
    validate_every: int = 2
    optimizer: Optimizer = field(default_factory=Jump)

    pairs = (Pair("left", ("a", "b"), cheap=True), Pair("right", ("a", "b"), cheap=True))
    validation_metrics = (Metric("clock"),)
    score_metrics = (Metric("error", worst=4.0),)

    def make_data(self, keys):
        drawn = random.uniform(random.fold_in(keys.problem, "target"))
        sign = torch.where(drawn < 0.5, -1.0, 1.0) if self.either else torch.ones_like(drawn)
        return {"target": self.target * sign}

    def initial_parameters(self, keys):
        start = torch.zeros_like(keys.problem, dtype=torch.float32)[:, None]
        return {"a": start, "b": start.clone()}

    def batch(self, data, keys):
        return data

    def losses(self):
        # The target in the first one moves nothing; a controller can read it.
        return {
            "left": lambda p, batch: (p["a"] - 1).square().sum(1) + p["b"].sum(1) + batch["target"],
            "right": lambda p, batch: (p["a"] + 1).square().sum(1) + p["b"].sum(1),
        }

    def validation_values(self, parameters, data):
        return parameters["b"]

    def score_values(self, parameters, data):
        distance = (parameters["a"] - data["target"][:, None]).abs()
        return (distance - WIDTH).clamp(min=0).square()
