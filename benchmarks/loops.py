"""Training loops of one model at a time, written without this package, as its yardstick."""

import itertools
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
from benchmarks.sides import Side

Task = QuadraticRegression | MLPClassification
Part = dict[str, np.ndarray]
Parts = dict[str, dict[str, Tensor]]


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
    layers: list[nn.Module] = []
    for size, next_size in pairwise(task.layer_sizes):
        layers += [nn.Linear(size, next_size), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def idiomatic(task: Task, device: str) -> Side:
    """A PyTorch loop: nn.Module, torch.optim.Adam, backward, one model at a time."""
    generator = np.random.default_rng(0)
    problems = itertools.count(1)

    def play() -> int:
        for _ in range(2):
            _train(task, _problem(task, next(problems), device), generator, device)
        return 2 * task.max_steps

    return play


def _train(task: Task, data: Parts, generator: np.random.Generator, device: str) -> None:
    """One episode: a loss drawn at random in every step, and validations in between."""
    model: nn.Module
    criterion: Callable[[Tensor, Tensor], Tensor]
    if isinstance(task, QuadraticRegression):
        model = Quadratic(task.dimension)
        criterion = nn.functional.mse_loss
    else:
        model = perceptron(task)
        criterion = nn.functional.cross_entropy
    model = model.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=_learning_rate(task))
    training, validation = data["training"], data["validation"]

    for step in range(1, task.max_steps + 1):
        if generator.integers(2) == 0:
            loss = criterion(model(training["inputs"]), training["targets"])
        else:
            sizes = [parameter.abs().sum() for parameter in model.parameters()]
            loss = task.l1_coefficient * torch.stack(sizes).sum()
        optimizer.zero_grad()
        loss.backward()
        gradients = [each.grad for each in model.parameters() if each.grad is not None]
        nn.utils.get_total_norm(gradients).item()
        optimizer.step()
        if step % task.validate_every == 0:
            with torch.no_grad():
                criterion(model(validation["inputs"]), validation["targets"]).item()


class NumpyQuadratic:
    """The regression by hand in NumPy, float32."""

    def __init__(self, task: QuadraticRegression) -> None:
        self._features = task.dimension
        self.size = task.dimension + task.dimension**2

    def start(self, generator: np.random.Generator) -> np.ndarray:
        deviations = np.repeat([0.1, 0.01], [self._features, self._features**2])
        return (deviations * generator.standard_normal(self.size)).astype(np.float32)

    def error(self, theta: np.ndarray, part: Part) -> np.ndarray:
        inputs = part["inputs"]
        d = self._features
        quadratic = ((inputs @ theta[d:].reshape(d, d)) * inputs).sum(axis=1)
        return inputs @ theta[:d] + quadratic / 10 - part["targets"]

    def differentiate(self, theta: np.ndarray, part: Part, gradient: np.ndarray) -> float:
        inputs = part["inputs"]
        d = self._features
        error = self.error(theta, part)
        weighted = inputs * (2 / len(error) * error)[:, None]
        gradient[:d] = weighted.sum(axis=0)
        gradient[d:] = (inputs.T @ weighted).reshape(-1) / 10
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
        """Weight and bias of every layer, as views of the packed parameters."""
        views = []
        start = 0
        for inputs, outputs in self._shapes:
            middle = start + inputs * outputs
            end = middle + outputs
            views.append((theta[start:middle].reshape(inputs, outputs), theta[middle:end]))
            start = end
        return views

    def _forward(self, theta: np.ndarray, part: Part) -> tuple[list[np.ndarray], np.ndarray]:
        """Inputs of every layer, and the log probabilities."""
        inputs = [part["inputs"]]
        *hidden, last = self._views(theta)
        for weight, bias in hidden:
            inputs.append(np.maximum(inputs[-1] @ weight + bias, 0))
        weight, bias = last
        logits = inputs[-1] @ weight + bias
        shifted = logits - logits.max(axis=1, keepdims=True)
        return inputs, shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))

    def differentiate(self, theta: np.ndarray, part: Part, gradient: np.ndarray) -> float:
        inputs, logs = self._forward(theta, part)
        rows = np.arange(len(logs))
        targets = part["targets"]
        slope = np.exp(logs)
        slope[rows, targets] -= 1
        slope /= np.float32(len(logs))
        layers = list(zip(self._views(theta), self._views(gradient), inputs, strict=True))
        for index in reversed(range(len(layers))):
            (weight, _), (weight_gradient, bias_gradient), layer_inputs = layers[index]
            weight_gradient[:] = layer_inputs.T @ slope
            bias_gradient[:] = slope.sum(axis=0)
            if index:  # nothing is in front of the first layer
                slope = (slope @ weight.T) * (layer_inputs > 0)
        return -float(logs[rows, targets].mean())

    def validate(self, theta: np.ndarray, part: Part) -> float:
        _, logs = self._forward(theta, part)
        targets = part["targets"]
        cross_entropy = -float(logs[np.arange(len(logs)), targets].mean())
        return cross_entropy + float((logs.argmax(axis=1) != targets).mean())


def numpy_loop(task: Task) -> Side:
    """A loop by hand in NumPy, float32: gradients and Adam in a few array operations."""
    generator = np.random.default_rng(0)
    problems = itertools.count(1)
    model = NumpyQuadratic(task) if isinstance(task, QuadraticRegression) else NumpyPerceptron(task)

    def play() -> int:
        for _ in range(2):
            data = {}
            for part, tensors in _problem(task, next(problems), "cpu").items():
                data[part] = {name: values.numpy() for name, values in tensors.items()}
            _train_by_hand(task, model, data, generator)
        return 2 * task.max_steps

    return play


def _train_by_hand(
    task: Task,
    model: NumpyQuadratic | NumpyPerceptron,
    data: dict[str, Part],
    generator: np.random.Generator,
) -> None:
    """One episode, as in `_train`; the updates are Adam's with its default betas."""
    rate = _learning_rate(task)
    theta = model.start(generator)
    first = np.zeros_like(theta)
    second = np.zeros_like(theta)
    gradient = np.zeros_like(theta)
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


def _learning_rate(task: Task) -> float:
    assert isinstance(task.optimizer, Adam)
    return task.optimizer.learning_rate


def _problem(task: Task, number: int, device: str) -> Parts:
    """Training and validation part of one problem, without the dimension of the run."""
    keys = torch.tensor([number], device=device)
    data = task.make_data(Keys(problem=keys, run=keys))
    parts = {}
    for part in ("training", "validation"):
        parts[part] = {name: values[0] for name, values in data[part].items()}
    return parts
