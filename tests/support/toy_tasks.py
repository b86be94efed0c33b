"""Tasks small enough to be computed by hand."""

from dataclasses import dataclass, field

import torch

from autoloss_gym import random
from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.task import ImageTask, Keys, Metric, Pair
from autoloss_gym.optimizers import SGD, Adam, Optimizer
from autoloss_gym.registration import register_task
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression

SMALL = QuadraticRegression(dimension=4, num_samples=20, max_steps=20, validate_every=5)


def keys_of(*numbers: int, split="train") -> Keys:
    """One run for each number, whose problem and draws it decides."""
    problem = torch.tensor(numbers)
    return Keys(problem=problem, run=random.fold_in(problem, "run"), split=split)


def samples(data: dict, part: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs (num_envs, rows, features) and targets (num_envs, rows) of a part of a regression."""
    return data[part]["inputs"], data[part]["targets"]


@dataclass(frozen=True, kw_only=True)
class TwoBlocks(GradientTask):
    """Block a (3,), and block b, a dict of (2, 2) and (2,).

    left: |a - target|², moves a. right: |matrix|² + |vector|⁴, moves b. both: (noise · a)² +
    |vector - 1|², moves a and b, with noise drawn anew every step.
    """

    cheap: bool = True
    minimize: bool = True
    max_steps: int = 12
    validate_every: int = 3
    optimizer: Optimizer = field(default_factory=lambda: Adam(learning_rate=0.1))

    @property
    def pairs(self):
        return tuple(
            Pair(n, b, self.cheap)
            for n, b in (("left", ("a",)), ("right", ("b",)), ("both", ("a", "b")))
        )

    @property
    def validation_metrics(self):
        return Metric("distance", minimize=self.minimize), Metric("size")

    score_metrics = (Metric("distance", worst=50.0),)

    def make_data(self, keys):
        return {"target": random.normal(random.fold_in(keys.problem, "target"), (3,))}

    def initial_parameters(self, keys):
        draw = {n: random.fold_in(keys.run, n) for n in ("a", "matrix", "vector")}
        b = {
            "matrix": random.normal(draw["matrix"], (2, 2)),
            "vector": random.normal(draw["vector"], (2,)),
        }
        return {"a": random.normal(draw["a"], (3,)), "b": b}

    def batch(self, data, keys):
        return data | {"noise": random.normal(keys, (3,))}

    def losses(self):
        return {
            "left": lambda p, batch: (p["a"] - batch["target"]).square().sum(1),
            "right": lambda p, batch: (
                p["b"]["matrix"].square().sum((1, 2)) + p["b"]["vector"].square().sum(1).square()
            ),
            "both": lambda p, batch: (
                (p["a"] * batch["noise"]).sum(1).square() + (p["b"]["vector"] - 1).square().sum(1)
            ),
        }

    def validation(self, parameters, data):
        return torch.stack(
            [self._distance(parameters, data), parameters["b"]["matrix"].square().sum((1, 2))], 1
        )

    def test(self, parameters, data):
        return self._distance(parameters, data)[:, None]

    def _distance(self, parameters, data):
        return (parameters["a"] - data["target"]).square().sum(1)


@dataclass(frozen=True, kw_only=True)
class Fragile(GradientTask):
    """A loss that breaks when it is chosen for the second time.

    safe: |a|² / 20, moves a. fragile: ln b ("log") or 2√b ("sqrt"), moves b, which starts at 1 and
    which the first step takes to 0 exactly. There ln b and its gradient are infinite, and √b is 0
    with an infinite gradient.
    """

    form: str = "log"
    cheap: bool = True
    max_steps: int = 12
    validate_every: int = 4
    optimizer: Optimizer = field(default_factory=lambda: SGD(learning_rate=1.0))

    @property
    def pairs(self):
        return Pair("safe", ("a",), self.cheap), Pair("fragile", ("b",), self.cheap)

    validation_metrics = (Metric("size"),)
    score_metrics = (Metric("size", worst=50.0),)

    def make_data(self, keys):
        return {}

    def initial_parameters(self, keys):
        a = random.normal(random.fold_in(keys.run, "a"), (3,))
        return {"a": a, "b": torch.ones_like(a[:, :1])}

    def batch(self, data, keys):
        return data

    def losses(self):
        function = {"log": torch.log, "sqrt": lambda b: 2 * torch.sqrt(b)}[self.form]
        return {
            "safe": lambda p, batch: p["a"].square().sum(1) / 20,
            "fragile": lambda p, batch: function(p["b"]).squeeze(1),
        }

    def validation(self, parameters, data):
        return parameters["a"].square().sum(1, keepdim=True)

    def test(self, parameters, data):
        return parameters["a"].square().sum(1, keepdim=True)


@dataclass(frozen=True, kw_only=True)
class Painter(GradientTask, ImageTask):
    """Pictures of one brightness, 8 at first, that either loss moves: raise by +1 a step, lower by
    −1.

    Pixel (row, column) of picture k is (brightness + k + row + column) / 32. With `minimize` a low
    brightness is good.
    """

    minimize: bool = False
    height: int = 2
    channels: int = 1
    max_steps: int = 24
    validate_every: int = 4
    optimizer: Optimizer = field(default_factory=lambda: SGD(learning_rate=1.0))

    pairs = (Pair("raise", ("brightness",)), Pair("lower", ("brightness",)))

    @property
    def validation_metrics(self):
        return (Metric("brightness", self.minimize),)

    @property
    def score_metrics(self):
        return Metric("brightness", self.minimize, worst=99.0 if self.minimize else -99.0), Metric(
            "square", worst=1e4
        )

    def make_data(self, keys):
        return {}

    def initial_parameters(self, keys):
        return {"brightness": torch.full((len(keys.run), 1), 8.0)}

    def batch(self, data, keys):
        return data

    def losses(self):
        return {
            "raise": lambda p, batch: -p["brightness"].squeeze(1),
            "lower": lambda p, batch: p["brightness"].squeeze(1),
        }

    def validation(self, parameters, data):
        return parameters["brightness"].clone()

    def test(self, parameters, data):
        return torch.cat([parameters["brightness"], parameters["brightness"].square()], dim=1)

    def samples(self, state, count):
        offsets = (
            torch.arange(count)[:, None, None]
            + torch.arange(self.height)[:, None]
            + torch.arange(3)
        )[..., None]
        pixels = (state.parameters["brightness"][:, :, None, None, None] + offsets) / 32
        return pixels.clamp(0, 1).expand(-1, -1, -1, -1, self.channels)

    def real_data_scores(self, split):
        return {"test": 1200}[split], {"brightness": 9.934, "square": 0.3}


register_task("Toy/Painter-v0", "tests.support.toy_tasks:Painter")
