"""The two supervised tasks written anew in JAX, for one run; `jax.vmap` makes many of them."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, random

Tree = Any


class Regression:
    """`AutoLoss/QuadraticRegression-v1` with its default arguments."""

    max_steps = 600
    validate_every = 5
    learning_rate = 5e-3
    penalty = 0.2
    minimize = True
    worst = 100.0
    metrics = 1

    dimension = 16
    num_samples = 200
    noise = 2.0

    def problem(self, key: Array) -> Tree:
        """Noisy samples of a linear function: training, validation and test part, and the truth."""
        of_truth, *of_parts = random.split(key, 4)
        truth = random.uniform(of_truth, (self.dimension,), minval=-0.5, maxval=0.5)
        parts = {}
        for name, of_part in zip(("training", "validation", "test"), of_parts, strict=True):
            of_inputs, of_noise = random.split(of_part)
            shape = (self.num_samples, self.dimension)
            inputs = random.uniform(of_inputs, shape, minval=-5.0, maxval=5.0)
            noise = self.noise * random.normal(of_noise, (self.num_samples,))
            parts[name] = {"inputs": inputs, "targets": inputs @ truth + noise}
        return parts | {"truth": truth}

    def start(self, key: Array) -> Tree:
        of_linear, of_quadratic = random.split(key)
        linear = 0.1 * random.normal(of_linear, (self.dimension,))
        quadratic = 0.01 * random.normal(of_quadratic, (self.dimension, self.dimension))
        return {"linear": linear, "quadratic": quadratic}

    def loss(self, parameters: Tree, part: Tree) -> Array:
        inputs = part["inputs"]
        # The linear part apart: XLA computes the gradient of (w + Aᵀu / 10)·u more slowly.
        quadratic = ((inputs @ parameters["quadratic"]) * inputs).sum(axis=1) / 10
        error = inputs @ parameters["linear"] + quadratic - part["targets"]
        return jnp.mean(error * error)

    def validate(self, parameters: Tree, part: Tree) -> Array:
        return self.loss(parameters, part)[None]

    def score(self, parameters: Tree, data: Tree) -> Array:
        """The exact excess risk for inputs uniform on [-5, 5]ᵈ, and the error on the test part."""
        second, fourth = 25 / 3, 125.0
        quadratic = parameters["quadratic"]
        symmetric = (quadratic + quadratic.T) / 2
        diagonal = jnp.diagonal(symmetric)
        on, off = (diagonal**2).sum(), (symmetric**2).sum() - (diagonal**2).sum()
        variance = (fourth - second**2) * on + 2 * second**2 * off
        mean = second * diagonal.sum() / 10
        error = parameters["linear"] - data["truth"]
        risk = second * (error**2).sum() + variance / 100 + mean**2
        return jnp.stack([risk, self.loss(parameters, data["test"])])


class Classification:
    """`AutoLoss/MLPClassification-v1` with its default arguments."""

    max_steps = 300
    validate_every = 10
    learning_rate = 1e-2
    penalty = 0.02
    minimize = False
    worst = 0.0
    metrics = 2

    sizes = (32, 32, 2)
    num_samples = 200
    num_held_out = 1000

    def problem(self, key: Array) -> Tree:
        """Four stretched clusters, two a class, most of whose features are noise."""
        of_order, of_shape, of_mix, *of_parts = random.split(key, 6)
        signs = jnp.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
        orders = jnp.array([[0, 2, 1, 3], [0, 1, 3, 2]])
        clusters = {
            "centres": signs[orders[random.randint(of_order, (), 0, 2)]],
            "shape": random.uniform(of_shape, (4, 2, 2), minval=-1.0, maxval=1.0),
            "mix": random.uniform(of_mix, (2, 2), minval=-1.0, maxval=1.0),
        }
        sizes = (self.num_samples, self.num_held_out, self.num_held_out)
        parts = {}
        for name, size, of_part in zip(
            ("training", "validation", "test"), sizes, of_parts, strict=True
        ):
            parts[name] = self._samples(of_part, size, clusters)
        inputs = parts["training"]["inputs"]
        mean, deviation = inputs.mean(axis=0), inputs.std(axis=0, ddof=1)
        for part in parts.values():
            part["inputs"] = (part["inputs"] - mean) / deviation
        return parts

    def _samples(self, key: Array, size: int, clusters: Tree) -> Tree:
        of_cluster, of_inputs, of_flip, of_label = random.split(key, 4)
        cluster = random.randint(of_cluster, (size,), 0, 4)
        inputs = random.normal(of_inputs, (size, self.sizes[0]))
        shape = clusters["shape"][cluster]
        informative = jnp.einsum("rk,rkj->rj", inputs[:, :2], shape) + clusters["centres"][cluster]
        combined = informative @ clusters["mix"]
        anew = random.uniform(of_flip, (size,)) < 0.01
        targets = jnp.where(anew, random.randint(of_label, (size,), 0, 2), cluster % 2)
        return {
            "inputs": jnp.concatenate([informative, combined, inputs[:, 4:]], axis=1),
            "targets": targets,
        }

    def start(self, key: Array) -> Tree:
        parameters = {}
        for index, of_layer in enumerate(random.split(key, len(self.sizes) - 1)):
            shape = self.sizes[index : index + 2]
            parameters[f"weight_{index}"] = 0.1 * random.normal(of_layer, shape)
            parameters[f"bias_{index}"] = jnp.full(shape[1:], 0.1)
        return parameters

    def _logits(self, parameters: Tree, part: Tree) -> Array:
        hidden = part["inputs"] @ parameters["weight_0"] + parameters["bias_0"]
        return jax.nn.relu(hidden) @ parameters["weight_1"] + parameters["bias_1"]

    def loss(self, parameters: Tree, part: Tree) -> Array:
        return _cross_entropy(self._logits(parameters, part), part["targets"])

    def validate(self, parameters: Tree, part: Tree) -> Array:
        """Accuracy and cross-entropy."""
        logits, targets = self._logits(parameters, part), part["targets"]
        accuracy = jnp.mean((logits.argmax(axis=1) == targets).astype(jnp.float32))
        return jnp.stack([accuracy, _cross_entropy(logits, targets)])

    def score(self, parameters: Tree, data: Tree) -> Array:
        return 1 - self.validate(parameters, data["test"])[:1]


def _cross_entropy(logits: Array, targets: Array) -> Array:
    # Not by `take_along_axis`, whose gradient is a scatter, and slower.
    return (
        -(jax.nn.log_softmax(logits) * jax.nn.one_hot(targets, logits.shape[1])).sum(axis=1).mean()
    )
