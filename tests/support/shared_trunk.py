"""A task whose losses share a block and have blocks of their own, with gradients known by hand."""

from dataclasses import dataclass, field

import torch

from autoloss_gym import random
from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.task import Metric, Pair
from autoloss_gym.optimizers import SGD, Optimizer

POINTS = {"first": 4, "second": 2, "third": 3}


@dataclass(frozen=True, kw_only=True)
class SharedTrunk(GradientTask):
    """Block trunk (3,) of all losses, and a block (1,) of each.

    Loss k is mean_i r_i² with r_i = (trunk · x_i)² + own_k − y_i. Of a problem whose number is
    `broken`, the data of the second loss are infinite.
    """

    cheap: bool = True
    count: int = 3
    broken: int = -1
    max_steps: int = 12
    validate_every: int = 3
    optimizer: Optimizer = field(default_factory=lambda: SGD(learning_rate=1e-3))

    @property
    def names(self):
        return tuple(POINTS)[: self.count]

    @property
    def pairs(self):
        return tuple(Pair(name, ("trunk", f"own {name}"), self.cheap) for name in self.names)

    validation_metrics = (Metric("size"),)
    score_metrics = (Metric("size", worst=50.0),)

    def make_data(self, keys):
        data = {}
        for name in self.names:
            stream, points = random.fold_in(keys.problem, name), POINTS[name]
            x = random.normal(random.fold_in(stream, "x"), (points, 3))
            y = random.normal(random.fold_in(stream, "y"), (points,))
            if name == "second":
                y = torch.where((keys.problem == self.broken)[:, None], torch.inf, y)
            data[name] = {"x": x, "y": y}
        return data

    def initial_parameters(self, keys):
        blocks = {"trunk": random.normal(random.fold_in(keys.run, "trunk"), (3,))}
        for name in self.names:
            blocks[f"own {name}"] = random.normal(random.fold_in(keys.run, name), (1,))
        return blocks

    def batch(self, data, keys):
        return data

    def residuals(self, parameters, batch):
        found = {}
        for name in self.names:
            inner = (batch[name]["x"] * parameters["trunk"][:, None]).sum(2)
            found[name] = inner * inner + parameters[f"own {name}"] - batch[name]["y"]
        return found

    def losses(self):
        def loss(name):
            return lambda p, batch: self.residuals(p, batch)[name].square().mean(1)

        return {name: loss(name) for name in self.names}

    def validation_values(self, parameters, data):
        return parameters["trunk"].square().sum(1, keepdim=True)

    def score_values(self, parameters, data):
        return parameters["trunk"].square().sum(1, keepdim=True)


def by_hand(state, name, run):
    """Of a loss of a run: ∂loss/∂trunk (3,), ∂loss/∂own (), and the trace of its kernel."""
    trunk = state.parameters["trunk"][run].double()
    own = state.parameters[f"own {name}"][run].double()
    x, y = state.data[name]["x"][run].double(), state.data[name]["y"][run].double()
    inner = x @ trunk
    residuals = inner**2 + own - y
    by_trunk = 2 * inner[:, None] * x  # of each point's residual
    gradient = (2 * residuals[:, None] * by_trunk).mean(0)
    return gradient, (2 * residuals).mean(), (by_trunk**2).sum() + len(y)
