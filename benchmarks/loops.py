"""Training loops of one model at a time, written without this package: what its environments are
compared with.
"""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from autoloss_gym.core.task import Keys
from autoloss_gym.optimizers import Adam
from autoloss_gym.tasks.supervised.mlp_classification import MLPClassification
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression

Task = QuadraticRegression | MLPClassification
Part = dict[str, np.ndarray]
Side = Callable[[], int]  # plays two episodes or more and returns the training steps that it made


class Quadratic(nn.Module):
    """The regression's model as one would write it."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.linear = nn.Parameter(0.1 * torch.randn(features))
        self.quadratic = nn.Parameter(0.01 * torch.randn(features, features))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs @ self.linear + ((inputs @ self.quadratic) * inputs).sum(dim=1) / 10


def perceptron(task: MLPClassification) -> nn.Module:
    """The classifier as one would write it."""
    sizes = task.layer_sizes
    layers: list[nn.Module] = []
    for size, next_size in pairwise(sizes):
        layers += [nn.Linear(size, next_size), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def idiomatic(task: Task, device: str) -> Side:
    """A PyTorch loop: nn.Module, torch.optim.Adam, backward, one model at a time."""
    generator, problem = np.random.default_rng(0), 0
    criterion = (
        nn.functional.mse_loss
        if isinstance(task, QuadraticRegression)
        else nn.functional.cross_entropy
    )

    def episode() -> None:
        nonlocal problem
        problem += 1
        data = _problem(task, problem, device)
        model = (
            Quadratic(task.dimension) if isinstance(task, QuadraticRegression) else perceptron(task)
        ).to(device)
        optimizer = torch.optim.Adam(model.parameters(), lr=_learning_rate(task))
        for step in range(task.max_steps):
            if generator.integers(2) == 0:
                loss = criterion(model(data["training"]["inputs"]), data["training"]["targets"])
            else:
                loss = (
                    task.l1_coefficient
                    * torch.stack([parameter.abs().sum() for parameter in model.parameters()]).sum()
                )
            optimizer.zero_grad()
            loss.backward()
            nn.utils.get_total_norm(
                [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
            ).item()
            optimizer.step()
            if (step + 1) % task.validate_every == 0:
                with torch.no_grad():
                    criterion(
                        model(data["validation"]["inputs"]), data["validation"]["targets"]
                    ).item()

    def play() -> int:
        episode()
        episode()
        return 2 * task.max_steps

    return play


class NumpyQuadratic:
    """The regression by hand in NumPy, float32."""

    def __init__(self, task: QuadraticRegression) -> None:
        self._features = task.dimension
        self.size = task.dimension + task.dimension**2

    def start(self, generator: np.random.Generator) -> np.ndarray:
        deviations = np.repeat([0.1, 0.01], [self._features, self._features**2])
        return (deviations * generator.standard_normal(self.size)).astype(np.float32)

    def error(self, theta: np.ndarray, part: Part) -> np.ndarray:
        inputs, d = part["inputs"], self._features
        quadratic = ((inputs @ theta[d:].reshape(d, d)) * inputs).sum(axis=1)
        return inputs @ theta[:d] + quadratic / 10 - part["targets"]

    def differentiate(self, theta: np.ndarray, part: Part, gradient: np.ndarray) -> float:
        inputs, d, error = part["inputs"], self._features, self.error(theta, part)
        weighted = inputs * (2 / len(error) * error)[:, None]
        gradient[:d], gradient[d:] = weighted.sum(axis=0), (inputs.T @ weighted).reshape(-1) / 10
        return float((error * error).mean())

    def validate(self, theta: np.ndarray, part: Part) -> float:
        error = self.error(theta, part)
        return float((error * error).mean())


class NumpyPerceptron:
    """The classifier by hand in NumPy, float32, with backpropagation."""

    def __init__(self, task: MLPClassification) -> None:
        self._shapes = list(pairwise(task.layer_sizes))
        self.size = sum(n * m + m for n, m in self._shapes)

    def start(self, generator: np.random.Generator) -> np.ndarray:
        theta = np.full(self.size, 0.1, dtype=np.float32)
        for weight, _ in self._views(theta):
            weight[:] = 0.1 * generator.standard_normal(weight.shape)
        return theta

    def _views(self, theta: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        views, at = [], 0
        for n, m in self._shapes:
            views.append((theta[at : at + n * m].reshape(n, m), theta[at + n * m : at + n * m + m]))
            at += n * m + m
        return views

    def _forward(self, theta: np.ndarray, part: Part) -> tuple[list[np.ndarray], np.ndarray]:
        """Inputs of every layer, and the log probabilities."""
        values = [part["inputs"]]
        for index, (weight, bias) in enumerate(self._views(theta)):
            output = values[-1] @ weight + bias
            values.append(output if index == len(self._shapes) - 1 else np.maximum(output, 0))
        logits = values.pop()
        shifted = logits - logits.max(axis=1, keepdims=True)
        return values, shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))

    def differentiate(self, theta: np.ndarray, part: Part, gradient: np.ndarray) -> float:
        values, logs = self._forward(theta, part)
        rows, targets = np.arange(len(logs)), part["targets"]
        slope = np.exp(logs)
        slope[rows, targets] -= 1
        slope /= np.float32(len(logs))
        layers = list(zip(self._views(theta), self._views(gradient), values, strict=True))
        for index, ((weight, _), (weight_gradient, bias_gradient), inputs) in reversed(
            list(enumerate(layers))
        ):
            weight_gradient[:], bias_gradient[:] = inputs.T @ slope, slope.sum(axis=0)
            slope = (slope @ weight.T) * (inputs > 0) if index else slope
        return -float(logs[rows, targets].mean())

    def validate(self, theta: np.ndarray, part: Part) -> float:
        _, logs = self._forward(theta, part)
        return -float(logs[np.arange(len(logs)), part["targets"]].mean()) + float(
            (logs.argmax(axis=1) != part["targets"]).mean()
        )


def numpy_loop(task: Task) -> Side:
    """A loop by hand in NumPy, float32: gradients and Adam in a few array operations."""
    generator, problem, rate = np.random.default_rng(0), 0, _learning_rate(task)
    model = NumpyQuadratic(task) if isinstance(task, QuadraticRegression) else NumpyPerceptron(task)

    def episode() -> None:
        nonlocal problem
        problem += 1
        data = {
            n: {k: v.numpy() for k, v in p.items()}
            for n, p in _problem(task, problem, "cpu").items()
        }
        theta = model.start(generator)
        first, second, gradient = np.zeros_like(theta), np.zeros_like(theta), np.zeros_like(theta)
        for step in range(1, task.max_steps + 1):
            if generator.integers(2) == 0:
                model.differentiate(theta, data["training"], gradient)
            else:
                np.multiply(np.sign(theta), task.l1_coefficient, out=gradient)
                np.abs(theta).sum()
            math.sqrt(gradient @ gradient)
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient * gradient - second)
            theta -= rate / (1 - 0.9**step) * first / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
            if step % task.validate_every == 0:
                model.validate(theta, data["validation"])

    def play() -> int:
        episode()
        episode()
        return 2 * task.max_steps

    return play


def _learning_rate(task: Task) -> float:
    assert isinstance(task.optimizer, Adam)
    return task.optimizer.learning_rate


def _problem(task: Task, number: int, device: str) -> dict[str, dict[str, Tensor]]:
    """Training and validation part of one problem, without the dimension of the run."""
    keys = torch.tensor([number], device=device)
    data = task.make_data(Keys(problem=keys, run=keys))
    return {
        part: {name: values[0] for name, values in data[part].items()}
        for part in ("training", "validation")
    }
